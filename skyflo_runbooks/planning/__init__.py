"""Planning: findings to a plan, by rules; and the agent's graph (`graph`), which is imported where it is used."""

from skyflo_runbooks.planning.planner import plan
from skyflo_runbooks.planning.way import DryRun, DryRunner, Probe

__all__ = ["DryRun", "DryRunner", "Probe", "plan"]
