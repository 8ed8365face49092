"""Diagnosis: a snapshot of a cluster to the causes of an incident.

`take` reads, `diagnose` decides (pure), `investigate` does both for the operator's words. See `rules` for the faults.
"""

from skyflo_runbooks.diagnosis.diagnose import diagnose
from skyflo_runbooks.diagnosis.investigate import investigate
from skyflo_runbooks.diagnosis.reader import Reader
from skyflo_runbooks.diagnosis.snapshot import Gap, Snapshot
from skyflo_runbooks.diagnosis.take import take

__all__ = ["Gap", "Reader", "Snapshot", "diagnose", "investigate", "take"]
