"""Repairs of families B and C beside memory and variables: what a container starts with, and where its probes ask.

The revision that ran before is the first way where there is one: whatever the new one got wrong, that one did not.
"""

import re

from skyflo_runbooks.diagnosis.graph import ref
from skyflo_runbooks.diagnosis.pods import EDITABLE, each, namespace_of, pod_spec, template_container
from skyflo_runbooks.diagnosis.rules.base import services
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.plan import Parameter, param
from skyflo_runbooks.planning.rules.common import roll_back
from skyflo_runbooks.planning.rules.patches import one, references, replace
from skyflo_runbooks.planning.rules.placing import back_only
from skyflo_runbooks.planning.way import Case, Repair, advised, check_of, named

# A user (and password) in an address, or a parameter that is one.
_HOLDS_SECRET = re.compile(r"(?i)@|[?&;][^=&;]*(?:pass|secret|token|key|auth|sig)[^=&;]*=")
# A container that is killed while it starts gets so many times the failures that it had.
_PATIENCE = 4


def pull_if_absent(case: Case) -> Repair:
    """Let the kubelet pull the image where the node does not hold it."""
    found = template_container(case.workload, case.finding.facts["container"])
    if found is None:
        return Repair(advice=advised(case))
    listed, index, _ = found
    path = f"/spec/template/spec/{listed}/{index}/imagePullPolicy"
    why = f"{case.finding.facts['image']} is not on the node, and the policy Never forbids to pull it."
    return Repair(ways=(replace(case, {path: "IfNotPresent"}, "Pull the image where it is absent", why),))


def name_what_exists(case: Case) -> Repair:
    """Name the ConfigMap, Secret or key that exists; or go back to the revision before."""
    facts = case.finding.facts
    back = roll_back(case, because="What it was configured with existed.")
    meant = facts.get("meant")
    paths = list(references(case.workload, facts["kind"], facts["name"], facts.get("key", "")))
    if meant is None or not paths:
        return Repair(ways=back, advice=advised(case))
    what = facts.get("key") or facts["name"]
    why = f"{facts['kind']} {facts['name']} has no {what}; {meant} exists." if facts.get("key") else ""
    why = why or f"There is no {facts['kind']} {what}; {meant} exists."
    way = replace(case, dict.fromkeys(paths, meant), f"Use {meant} instead of {what}", why)
    return Repair(ways=(way, *back), advice=advised(case))


def own_command(case: Case) -> Repair:
    """Go back to the revision whose command ran; or use the image's own, where that can only be what is meant.

    A worker of a web image would serve as a second web, and every pod would be ready.
    """
    back = roll_back(case, because="Its command could be run.")
    found = template_container(case.workload, case.finding.facts["container"])
    if found is None or not found[2].get("command"):
        return Repair(ways=back, advice=advised(case))
    twin = _twin(case, str(found[2].get("image", "")))
    if twin or not _serves(case, found[2]):
        why = f"{twin} runs the same image" if twin else "nothing shows that it is to serve what its image serves"
        other = f"What the image starts itself may be something else than this workload is for: {why}."
        return Repair(ways=back, advice=(*advised(case), f"{other} Name the command that the image has."))
    arguments: Json = {**named(case), "container": case.finding.facts["container"], "command": []}
    why = f"{case.finding.facts.get('command') or 'Its command'} is not in the image; what the image says itself is."
    way = one(case, "k8s_set_command", arguments, "Start what the image says", why)
    return Repair(ways=(*back, way), advice=advised(case))


def _serves(case: Case, container: Json) -> bool:
    """Return whether the container is there to be asked: by a Service, by probes, or at ports that it declares."""
    probes = ("readinessProbe", "livenessProbe", "startupProbe")
    asked = any(at(container, probe, way) for probe in probes for way in ("httpGet", "tcpSocket", "grpc"))
    return bool(asked or each(container, "ports") or services(case.graph, case.workload))


def _twin(case: Case, image: str) -> str:
    """Return another workload with a container of the same image, whatever its tag; empty where there is none."""
    here, repository = namespace_of(case.workload), _repository(image)
    for kind in EDITABLE:
        for other in case.graph.all(kind):
            if other is case.workload or namespace_of(other) != here:
                continue
            if any(_repository(str(c.get("image", ""))) == repository for c in each(pod_spec(other), "containers")):
                return str(ref(other))
    return ""


def _repository(image: str) -> str:
    """Return an image's name without tag and digest."""
    name, _, _ = image.partition("@")
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def ask_elsewhere(case: Case) -> Repair:
    """Let the probe ask where the container answers; it is never taken away."""
    facts = case.finding.facts
    back = roll_back(case, because="Its probes were answered.")
    said: Json = {}
    if facts.get("meant_port"):
        said["port"] = int(facts["meant_port"]) if facts["meant_port"].isdigit() else facts["meant_port"]
    if facts.get("meant_path"):
        said["path"] = facts["meant_path"]
    if not said:
        return Repair(ways=back, advice=advised(case))
    probe = facts["probe"].removesuffix("Probe")
    arguments: Json = {**named(case), "container": facts["container"], "probe": probe, **said}
    words = " ".join(f"{key} {value}" for key, value in said.items())
    asked = f"port {facts.get('port')} {facts.get('path', '')}".strip()
    why = f"It asks {asked}; the container answers at {words}."
    way = one(case, "k8s_set_probe", arguments, f"Let the {probe} probe ask {words}", why)
    return Repair(ways=(way, *back), advice=advised(case))


def be_patient(case: Case) -> Repair:
    """Let the probe fail more often before it kills; it is never taken away."""
    facts = case.finding.facts
    found = template_container(case.workload, facts["container"])
    held = at(found[2], facts["probe"], default={}) if found else {}
    failures = int(held.get("failureThreshold", 3)) * _PATIENCE
    probe = facts["probe"].removesuffix("Probe")
    arguments: Json = {**named(case), "container": facts["container"], "probe": probe}
    way = one(
        case,
        "k8s_set_probe",
        {**arguments, "failure_threshold": param("failures")},
        f"Let the {probe} probe fail {failures} times before it kills",
        f"The container does not answer within {held.get('failureThreshold', 3)} failures, and is killed.",
        parameters=(Parameter("failures", "int", failures, "failures in a row before the container is killed"),),
    )
    back = roll_back(case, because="Its probes left it time.")
    return Repair(ways=(way, *back), advice=advised(case))


def endpoint_that_exists(case: Case) -> Repair:
    """Set the variable to a Service and port that exist; or go back to the revision before."""
    facts = case.finding.facts
    back = roll_back(case, because="What it asked existed.")
    meant, container = facts.get("meant"), facts["container"]
    found = template_container(case.workload, container)
    variables = each(found[2], "env") if found else []
    value = next((str(v.get("value", "")) for v in variables if v.get("name") == facts.get("variable")), "")
    if _HOLDS_SECRET.search(value):
        said = f"{facts['variable']} holds a credential, so its value is not written here"
        return Repair(ways=back, advice=(*advised(case), f"{said}. Better: keep that in a Secret."))
    wrong = facts.get("port", "") if (meant or "").isdigit() else facts.get("host", "").split(".")[0]
    if not meant or not wrong or value.count(wrong) != 1:
        return Repair(ways=back, advice=advised(case))
    better = value.replace(wrong, meant)
    why = f"{facts['variable']} names {facts['host']}:{facts['port']}, which does not exist; {meant} does."
    arguments: Json = {**named(case), "container": container, "set": {facts["variable"]: param("value")}}
    way = one(
        case,
        "k8s_set_env",
        arguments,
        f"Set {facts['variable']} to {better}",
        why,
        parameters=(Parameter("value", "str", better, f"value of {facts['variable']}"),),
        checks=(check_of(case, "env_set", container=container, variable=facts["variable"]),),
    )
    return Repair(ways=(way, *back), advice=advised(case))


def set_once(case: Case) -> Repair:
    """Take the entry away that hides the other; or go back to the revision before."""
    facts = case.finding.facts
    back = roll_back(case, because=f"It set {facts['variable']} once.") if _set_once_before(case) else ()
    found = template_container(case.workload, facts["container"])
    if "index" not in facts or found is None:
        return Repair(ways=back, advice=advised(case))
    base = f"/spec/template/spec/{found[0]}/{found[1]}/env/{facts['index']}"
    patch: list[Json] = [
        {"op": "test", "path": f"{base}/name", "value": facts["variable"]},
        {"op": "remove", "path": base},
    ]
    arguments: Json = {**named(case), "patch": patch, "patch_type": "json"}
    once = check_of(case, "env_set", container=facts["container"], variable=facts["variable"])
    # One entry fewer: the last place of the list is empty then. No value is compared, because none may be shown.
    last = f"/spec/template/spec/{found[0]}/{found[1]}/env/{len(each(found[2], 'env')) - 1}/name"
    fewer = check_of(case, "field_equals", path=last, value=None)
    held = (once, fewer) if facts["hidden"].startswith("env") else (fewer,)
    why = f"It hides {facts['hidden']}, which then counts again. Neither value is shown here."
    title = f"Take the later {facts['variable']} away"
    return Repair(ways=(one(case, "k8s_patch", arguments, title, why, checks=held), *back), advice=advised(case))


def _set_once_before(case: Case) -> bool:
    """Return whether the revision before set the variable, and once."""
    before = case.graph.previous(case.workload)
    found = template_container(before, case.finding.facts["container"]) if before else None
    named_so = [v for v in each(found[2], "env") if v.get("name") == case.finding.facts["variable"]] if found else []
    return len(named_so) == 1


REPAIRS = {
    "IMG-04": pull_if_absent,
    "CON-01": name_what_exists,
    "CON-02": name_what_exists,
    "CON-03": own_command,
    "CON-05": back_only,
    "CON-06": back_only,
    "CON-08": ask_elsewhere,
    "CON-09": be_patient,
    "CON-10": ask_elsewhere,
    "CON-11": back_only,
    "CON-12": back_only,
    "CON-14": back_only,
    "CON-15": back_only,
    "CON-16": endpoint_that_exists,
    "CON-17": set_once,
}

__all__ = ["REPAIRS"]
