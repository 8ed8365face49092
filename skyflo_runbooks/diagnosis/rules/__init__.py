"""The rules, one module per family of the fault catalogue.

A new rule is a function in its family's module and a line in that module's `RULES`.
"""

from skyflo_runbooks.diagnosis.rules import (
    admission,
    aggregation,
    autoscaling,
    certificates,
    container,
    crash,
    delivery,
    disruption,
    environment,
    gateways,
    image,
    mesh,
    names,
    network,
    nodes,
    probes,
    reach,
    rewriting,
    rights,
    rollout,
    routing,
    scheduling,
    sidecars,
    space,
    startup,
    storage,
    throttled,
    volumes,
)
from skyflo_runbooks.diagnosis.rules.base import Rule

RULES: tuple[Rule, ...] = (
    *scheduling.RULES,
    *image.RULES,
    *container.RULES,
    *startup.RULES,
    *probes.RULES,
    *crash.RULES,
    *space.RULES,
    *environment.RULES,
    *throttled.RULES,
    *admission.RULES,
    *rights.RULES,
    *rewriting.RULES,
    *network.RULES,
    *reach.RULES,
    *routing.RULES,
    *names.RULES,
    *certificates.RULES,
    *rollout.RULES,
    *storage.RULES,
    *volumes.RULES,
    *autoscaling.RULES,
    *disruption.RULES,
    *sidecars.RULES,
    *nodes.RULES,
    *aggregation.RULES,
    *delivery.RULES,
    *mesh.RULES,
    *gateways.RULES,
)

__all__ = ["RULES", "Rule"]
