"""The rules, one module per family of the fault catalogue.

A new rule is a function in its family's module and a line in that module's `RULES`.
"""

from skyflo_runbooks.diagnosis.rules import container, image, network, scheduling
from skyflo_runbooks.diagnosis.rules.base import Rule

RULES: tuple[Rule, ...] = (*scheduling.RULES, *image.RULES, *container.RULES, *network.RULES)

__all__ = ["RULES", "Rule"]
