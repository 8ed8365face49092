"""k8sgpt beside us, on the same namespace in the same run: what it lists, whether the cause is among it, how long.

Rules:
  1. It is asked as its users ask it: `k8sgpt analyze -o json` of the namespace with its default filters, no model.
  2. It names the cause if any text that it lists holds what the catalogue takes for the evidence of the fault
     (`SIGNS`), or names the object that has to change and says what is wrong with it. That is more than we grant
     ourselves: for us only the first finding counts.
  3. A false alarm is a listed object of the noise beside the fault; where no fault is staged, every listed object.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from skyflo_runbooks.model.json import Json
from tests.control_plane.harness import ControlPlane
from tests.faults.staging import Case
from tests.scoreboard.result import Other

SIGNS = {
    "SCH-01": r"node affinity|node selector|affinity/selector",
    "SCH-02": r"Insufficient (cpu|memory)",
    "SCH-03": r"Insufficient nvidia",
    "SCH-04": r"untolerated taint",
    "SCH-05": r"unschedulable",
    "SCH-06": r"anti-affinity",
    "SCH-07": r"topology spread",
    "SCH-08": r"free ports",
    "SCH-10": r"gate",
    "SCH-14": r"persistentvolumeclaim .* not found",
    "SCH-15": r"volume node affinity|PersistentVolume's node affinity",
    "ADM-01": r"exceeded quota",
    "ADM-02": r"must specify",
    "ADM-03": r"maximum|minimum",
    "ADM-04": r"PodSecurity",
    "ADM-05": r"failed calling webhook|webhook",
    "ADM-09": r"denied|ValidatingAdmissionPolicy",
    "ADM-10": r"serviceaccount .* not found|ServiceAccount",
    "NET-01": r"no endpoints|not ready|expected label",
    "NET-02": r"targetPort|port",
    "NET-06": r"ingress class|ingressclass",
    "NET-07": r"service .* does not exist|non.existent service",
    "NET-10": r"(?i)network ?policy",
    "ROL-06": r"non-existent service|serviceName|service",
    "STO-01": r"storageclass .* not found",
    "STO-02": r"no storage class is set|no persistent volumes",
    "AUT-01": r"(?i)metric",
    "AUT-03": r"(?i)scaleTargetRef|ScaleTargetRef|not found",
    "JOB-02": r"(?i)suspended",
    "IMG-01": r"(?i)not found|pulling image|back-off pulling",
    "CON-04": r"(?i)crashloop|back-off restarting|terminated",
    "CON-07": r"(?i)oomkilled",
}


@dataclass(frozen=True)
class K8sgpt:
    """The built program."""

    path: Path

    def look(self, made: ControlPlane, case: Case, fault: str, noise: frozenset[str]) -> Other:
        """Analyze a namespace as it is now; `fault` is empty where none is staged."""
        home = made.folder / "k8sgpt"
        home.mkdir(exist_ok=True)
        command = [str(self.path), "analyze", "-o", "json", "-n", case.namespace, "--kubeconfig"]
        environment = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)}
        began = time.perf_counter()
        done = subprocess.run(
            [*command, str(made.kubeconfig("admin"))],
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        took = time.perf_counter() - began
        listed = results(done.stdout)
        return Other(
            findings=sum(len(one.get("error") or []) for one in listed),
            named=bool(fault) and any(names_the_cause(one, case, fault) for one in listed),
            false=sum(not fault or is_noise(one, noise) for one in listed),
            seconds=took,
        )


def results(said: str) -> list[Json]:
    """Return what it listed."""
    start = said.find("{")
    return list(json.loads(said[start:]).get("results") or []) if start >= 0 else []


def names_the_cause(one: Json, case: Case, fault: str) -> bool:
    """Return whether a listed result says what the fault is, by rule 2."""
    text = " ".join(str(error.get("Text", "")) for error in one.get("error") or [])
    sign = SIGNS.get(fault)
    kind, _, name = case.finds.partition("/")
    whole = f"{one.get('kind')}/{one.get('name')}"
    return bool(re.search(sign, text)) if sign else whole == f"{kind}/{name}" and bool(text)


def is_noise(one: Json, noise: frozenset[str]) -> bool:
    """Return whether a listed object is of what was staged beside the fault."""
    name = str(one.get("name", "")).rpartition("/")[2]
    return any(name == other or name.startswith(f"{other}-") for other in noise)
