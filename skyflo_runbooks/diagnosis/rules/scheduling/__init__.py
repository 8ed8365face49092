"""Family A, scheduling: why a pod has no node.

`waiting` reads what the scheduler says and which of its reasons is the cause; the other modules hold the faults: what
nodes lack (`resources`), which nodes the pod may not use (`nodes`), what other pods keep it from (`neighbours`), and
pods that wait for something else than a node (`gates`).
"""

from skyflo_runbooks.diagnosis.rules.base import Rule
from skyflo_runbooks.diagnosis.rules.scheduling import gates, neighbours, nodes, resources

RULES: tuple[Rule, ...] = (*resources.RULES, *nodes.RULES, *neighbours.RULES, *gates.RULES)

__all__ = ["RULES"]
