"""The rules, one module per family of the fault catalogue.

A new rule is a function in its family's module and a line in that module's `RULES`.
"""

from skyflo_runbooks.diagnosis.rules import (
    admission,
    autoscaling,
    container,
    crash,
    image,
    network,
    nodes,
    probes,
    rollout,
    routing,
    scheduling,
    startup,
    storage,
)
from skyflo_runbooks.diagnosis.rules.base import Rule

RULES: tuple[Rule, ...] = (
    *scheduling.RULES,
    *image.RULES,
    *container.RULES,
    *startup.RULES,
    *probes.RULES,
    *crash.RULES,
    *admission.RULES,
    *network.RULES,
    *routing.RULES,
    *rollout.RULES,
    *storage.RULES,
    *autoscaling.RULES,
    *nodes.RULES,
)

__all__ = ["RULES", "Rule"]
