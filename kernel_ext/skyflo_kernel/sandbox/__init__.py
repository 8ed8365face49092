"""A place for Jupyter from which the gateway's data and the operator's credentials cannot be reached.

Code in a kernel is anybody's code: what its user can read, it can read. So Jupyter runs

- `user`: as another user. Only root can start that. The home of the one who starts it, and each denied path, are
  hidden from it by mounts of its own where the machine allows those.
- `landlock`: as the same user behind a Landlock ruleset, which opens what Python and Jupyter need and the working
  folders, and nothing else; it cannot trace or signal a process outside either. Its terminals are its own.
- `none`: with a cleared environment only. Nothing is promised against hostile code then.

In `user` and `landlock` no new local (Unix) socket can be made: a session bus or a container engine behind one would
start a process outside. Nor can a server of another tool be asked at a TCP port: all are closed but the gateway's,
Jupyter's and its kernels', where the kernel can close ports (Linux 6.7). Before Jupyter starts, each denied path and a
closed port are tried, and one that opens is a refusal to start.
"""

from skyflo_kernel.sandbox.modes import Mode, Plan, available_modes, closes_ports, enter
from skyflo_kernel.sandbox.ports import Block, Ports

__all__ = ["Block", "Mode", "Plan", "Ports", "available_modes", "closes_ports", "enter"]
