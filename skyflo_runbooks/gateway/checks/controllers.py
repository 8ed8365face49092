"""The checks of what controllers answer, each observed once: conditions, addresses, runs, and places on nodes.

That no controller answered is `unknown`, in words that say so: it is no outcome of the change, and no `yes` either.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from skyflo_mcp.kubernetes.workload import owned, uid

from skyflo_runbooks.gateway.checks.view import Seen, View, is_ready, name_of, seen
from skyflo_runbooks.model.json import Json, at


async def condition_true(view: View, *, kind: str, name: str, namespace: str, condition: str) -> Seen:
    """What was said of an older generation, where that is written down, is not said of the object as it is now.

    What is there before any controller came ("Unknown", "Waiting for controller") is no answer of one.
    https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/1623-standardize-conditions
    """
    found = await view.get(kind, name, namespace)
    places = _said_by_parents(found) if at(found, "spec", "parentRefs", default=[]) else {f"{kind} {name}": _own(found)}
    looked = [_said(found, place, where, condition) for where, place in places.items()]
    worst = next((one for wanted in ("no", "unknown") for one in looked if one[0] == wanted), looked[0])
    return worst if len(looked) == 1 else (worst[0], worst[1], tuple(one[1] for one in looked))


def _own(found: Json) -> Json:
    generation = at(found, "status", "observedGeneration")
    return {"conditions": at(found, "status", "conditions", default=[]), "generation": generation}


def _said_by_parents(route: Json) -> dict[str, Json]:
    """Return what the controller of each parent of a route wrote; https://gateway-api.sigs.k8s.io/geps/gep-1364/."""
    here = at(route, "metadata", "namespace", default="")
    written = {_parent(one.get("parentRef") or {}, here): one for one in at(route, "status", "parents", default=[])}
    wanted = [_parent(one, here) for one in at(route, "spec", "parentRefs")]
    return {" ".join(part for part in parent if part): written.get(parent, {}) for parent in wanted}


def _parent(named: Json, here: str) -> tuple[str, ...]:
    kind, space = str(named.get("kind") or "Gateway"), str(named.get("namespace") or here)
    return kind, f"{space}/{named.get('name')}", str(named.get("sectionName") or ""), str(named.get("port") or "")


def _said(found: Json, place: Json, where: str, condition: str) -> Seen:
    conditions: list[Json] = at(place, "conditions", default=[])
    said = next((one for one in conditions if one.get("type") == condition), None)
    if said is None or said.get("status") == "Unknown":
        why = f" ({said.get('reason')}: {said.get('message', '')})" if said else ""
        return "unknown", f"nothing answered: no controller has said whether {where} is {condition}{why}", ()
    generation = at(found, "metadata", "generation")
    of = said.get("observedGeneration", place.get("generation"))
    if of is not None and str(of) != str(generation):  # Argo Rollouts writes it as a text
        return seen(False, f"{condition} {said.get('status')}, of an older generation")
    why = ": ".join(str(said[part]) for part in ("reason", "message") if said.get(part))
    return seen(said.get("status") == "True", f"{condition} {said.get('status')}{f' ({why})' if why else ''}")


async def address_given(view: View, *, name: str, namespace: str) -> Seen:
    """Where no Ingress of its class has an address, nobody writes them, and that there is none says nothing."""
    ingress = await view.get("Ingress", name, namespace)
    written = _addresses(ingress)
    if written:
        return seen(True, f"served at {', '.join(written)}")
    wanted = at(ingress, "spec", "ingressClassName")
    others = [one for one in await view.list("Ingress", "") if at(one, "spec", "ingressClassName") == wanted]
    served = [name_of(one) for one in others if _addresses(one)]
    if not served:
        return "unknown", f"nothing answered: no Ingress of class {wanted} has an address", ()
    return seen(False, f"no address, and others of class {wanted} have one", *served[:5])


def _addresses(ingress: Json) -> list[str]:
    points = at(ingress, "status", "loadBalancer", "ingress", default=[])
    return [str(one.get("ip") or one.get("hostname")) for one in points if one.get("ip") or one.get("hostname")]


async def run_began(view: View, *, name: str, namespace: str) -> Seen:
    """A run that somebody starts by hand is none of the schedule's; until one is due, nothing is known."""
    cron = await view.get("CronJob", name, namespace)
    if at(cron, "spec", "suspend", default=False):
        return seen(False, "it is suspended")
    since = view.since.replace(microsecond=0)  # the API server tells times by the second
    runs = [job for job in await view.list("Job", namespace) if _scheduled(job, cron) and _made(job) >= since]
    last = at(cron, "status", "lastScheduleTime", default="")
    if runs or (last and datetime.fromisoformat(last) > view.since):
        began = name_of(runs[0]) if runs else f"the run of {last}"
        return seen(True, f"{began} began", *(f"Job {name_of(job)}: {_end(job)}" for job in runs[:5]))
    schedule = at(cron, "spec", "schedule", default="?")
    return (
        "unknown",
        f"no run began since the change; its schedule is {schedule}, the last one was {last or 'never'}",
        (),
    )


def _scheduled(job: Json, cron: Json) -> bool:
    by_hand = at(job, "metadata", "annotations", "cronjob.kubernetes.io/instantiate") == "manual"
    return not by_hand and bool(owned([job], {uid(cron)}))


def _end(job: Json) -> str:
    ended = (one.get("type") for one in at(job, "status", "conditions", default=[]) if one.get("status") == "True")
    return ", ".join(map(str, ended)) or "under way"


async def on_more_nodes(view: View, *, name: str, namespace: str, than: int) -> Seen:
    """How many nodes it is wanted on is the DaemonSet controller's own count of what fits now."""
    pods = await view.pods("DaemonSet", name, namespace)
    status: Json = pods.workload.get("status") or {}
    generation = at(pods.workload, "metadata", "generation", default=0)
    if status.get("observedGeneration", -1) < generation:
        return seen(False, f"generation {generation} is not observed yet ({status.get('observedGeneration')})")
    ready = sum(is_ready(pod) for pod in pods.new)
    said = f"wanted on {pods.desired} nodes (before: {than}), {ready} pods ready"
    return seen(pods.desired > than and ready == pods.desired, said)


def _made(job: Json) -> datetime:
    return datetime.fromisoformat(str(at(job, "metadata", "creationTimestamp", default="1970-01-01T00:00:00Z")))


OBSERVERS: dict[str, Callable[..., Awaitable[Seen]]] = {
    function.__name__: function for function in (condition_true, address_given, run_began, on_more_nodes)
}
