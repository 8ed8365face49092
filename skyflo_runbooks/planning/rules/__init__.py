"""The repairs, one module per family of the fault catalogue: a finding to the ways to repair it.

A new repair is a function in its family's module and a line in that module's `REPAIRS`.
"""

from collections.abc import Callable

from skyflo_runbooks.planning.rules import (
    container,
    image,
    keeping,
    meshing,
    network,
    permitting,
    placing,
    reaching,
    renewing,
    scaling,
    scheduling,
    starting,
    steering,
)
from skyflo_runbooks.planning.way import Case, Repair

REPAIRS: dict[str, Callable[[Case], Repair]] = {
    **scheduling.REPAIRS,
    **image.REPAIRS,
    **container.REPAIRS,
    **network.REPAIRS,
    **placing.REPAIRS,
    **permitting.REPAIRS,
    **starting.REPAIRS,
    **steering.REPAIRS,
    **reaching.REPAIRS,
    **keeping.REPAIRS,
    **renewing.REPAIRS,
    **scaling.REPAIRS,
    **meshing.REPAIRS,
}

__all__ = ["REPAIRS"]
