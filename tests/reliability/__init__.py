"""A day of load: proposals through every fate, while the gateway is killed again and again.

`python -m tests.reliability --proposals N --kills K` prints what came of it as JSON; `make reliability` does the same.
The cluster, the gateway and the clients are processes of their own. What is checked stands in `checking`.
"""
