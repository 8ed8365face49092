"""Repairs of families E and K: ADM-07, DLV-02, MES-01, MES-02, GWY-01."""

from skyflo_runbooks.diagnosis.pods import each
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.planning.rules.patches import answered_behind, merge, one, replace, told_by_controller
from skyflo_runbooks.planning.way import Case, Repair, advised, check_of, named, web_checks


def shorter(case: Case) -> Repair:
    """Give the slowest webhook so little time that all of them fit into a request."""
    facts = case.finding.facts
    if "enough" not in facts:
        return Repair(advice=advised(case))
    path = f"/webhooks/{facts['index']}/timeoutSeconds"
    why = f"{facts['webhook']} may take {facts['seconds']} s, and with the others more than a request has."
    title = f"Let {facts['webhook']} take {facts['enough']} s at most"
    return Repair(ways=(replace(case, {path: int(facts["enough"])}, title, why),), advice=advised(case))


def go_on_or_back(case: Case) -> Repair:
    """Let the paused Rollout go on; or give a degraded one the images of its stable revision again."""
    facts = case.finding.facts
    if "paused" in facts:
        held = (check_of(case, "field_equals", path="/spec/paused", value=False), *_rolled_out(case))
        way = merge(case, {"spec": {"paused": False}}, "Let it go on", "Somebody paused it as a whole.", checks=held)
        return Repair(ways=(way,), advice=advised(case))
    images: dict[str, Json | str | int] = {
        f"/spec/template/spec/containers/{key.removeprefix('image:')}/image": image
        for key, image in facts.items()
        if key.startswith("image:")
    }
    if not images:
        return Repair(advice=advised(case))
    said = ", ".join(str(image) for image in images.values())
    why = "The stable revision runs with it, and nothing else of the template differs."
    return Repair(
        ways=(replace(case, images, f"Go back to {said}", why, checks=_rolled_out(case)),), advice=advised(case)
    )


def _rolled_out(case: Case) -> tuple[Check, ...]:
    """Return the checks that the Rollout reached what it should, as its controller says, and that somebody answers.

    One that waits at a step of its own for a person is not Healthy before that person comes: its pods are Available.
    https://argo-rollouts.readthedocs.io/en/stable/features/specification/
    """
    steps = each(case.workload, "spec", "strategy", "canary", "steps")
    waits = any("pause" in step and not at(step, "pause", "duration") for step in steps)
    healthy = "Available" if waits and "paused" in case.finding.facts else "Healthy"
    return (*told_by_controller(case, healthy), *answered_behind(case), *web_checks(case))


def admit_identity(case: Case) -> Repair:
    """Admit the one identity that asks, at the Service's ports, where the policy is about this one workload.

    Where TLS is what is lacking, or others are behind the policy too, no policy is loosened.
    """
    facts = case.finding.facts
    if "principal" not in facts:
        return Repair(advice=advised(case))
    source: Json = {"principals": [facts["principal"]]}
    ports = facts["ports"].split(",")
    rule: Json = {"from": [{"source": source}], "to": [{"operation": {"ports": ports}}]}
    add: Json = {"op": "add", "path": "/spec/rules/-", "value": rule}
    if not each(case.workload, "spec", "rules"):
        add = {"op": "add", "path": "/spec/rules", "value": [rule]}
    arguments: Json = {**named(case), "patch": [add], "patch_type": "json"}
    why = f"{facts['client']} needs {facts['service']}, and no policy admits it; nobody else is admitted by this."
    # The rule is the last of the list: it stands there only if it was added.
    last = f"/spec/rules/{len(each(case.workload, 'spec', 'rules'))}/from/0/source/principals/0"
    held = (check_of(case, "field_equals", path=last, value=facts["principal"]),)
    way = one(case, "k8s_patch", arguments, f"Admit {facts['principal']}", why, checks=held)
    return Repair(ways=(way,), advice=advised(case))


def name_that_exists(case: Case) -> Repair:
    """Name what exists and comes nearest: a class, a Gateway, a Service, its port, a subset."""
    facts, meant = case.finding.facts, case.finding.facts.get("meant")
    if meant is None:
        return Repair(advice=advised(case))
    value: str | int = int(meant) if facts.get("is") == "number" else meant
    why = f"{facts.get('why') or 'The subset ' + facts.get('subset', '') + ' is not defined'}; {meant} is there."
    # What the object's own controller says of it, and who answers behind it: the field alone was only written.
    named_now = (meant,) if facts["path"].endswith("/name") else ()
    held = (*_answered(case), *answered_behind(case, *named_now), *web_checks(case))
    return Repair(
        ways=(replace(case, {facts["path"]: value}, f"Name {meant}", why, checks=held),), advice=advised(case)
    )


def _answered(case: Case) -> tuple[Check, ...]:
    """Return the checks of what is written of it by who serves it; of objects of a mesh nobody writes anything."""
    if case.finding.object.kind == "HTTPRoute":
        return tuple(check_of(case, "condition_true", condition=name) for name in ("Accepted", "ResolvedRefs"))
    return told_by_controller(case, "Accepted", "Programmed") if case.finding.object.kind == "Gateway" else ()


REPAIRS = {
    "ADM-07": shorter,
    "DLV-02": go_on_or_back,
    "MES-01": admit_identity,
    "MES-02": name_that_exists,
    "GWY-01": name_that_exists,
}

__all__ = ["REPAIRS"]
