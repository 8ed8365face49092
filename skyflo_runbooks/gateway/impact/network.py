"""What traffic sees of a change: Services and their endpoints, Ingresses, NetworkPolicies. Pure.

Rules:
  1. What a Service has now is what its EndpointSlices say; what it will have follows from its selector and the pods
     there are, ready and not ended.
  2. A named targetPort exists if a container of the pods declares it; a number always does.
  3. A pod that any NetworkPolicy selects for a direction is closed in it but for what the policies allow
     (https://kubernetes.io/docs/concepts/services-networking/network-policies/).
"""

from collections.abc import Iterable

from skyflo_runbooks.diagnosis.pods import each, labels_of, name_of, ready, texts
from skyflo_runbooks.gateway.impact.change import (
    WORKLOADS,
    Change,
    Line,
    Lines,
    count,
    high,
    listed,
    medium,
    plural,
    some,
    touched,
)
from skyflo_runbooks.gateway.impact.routes import KINDS, leading_to
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.gateway.impact.selecting import chooses, chosen, own_pods, selects, template_labels
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact


def needs(change: Change) -> Iterable[Need]:
    """What may send to the pods, or stands between. Of evictions `disruption` tells."""
    if change.request.verb == "evict":
        return
    if change.kind in (*WORKLOADS, "Pod"):
        yield Need("Service", change.namespace)
        yield Need("EndpointSlice", change.namespace)
        if _loses_pods(change):
            yield Need("Pod", change.namespace)
            yield Need("Ingress", change.namespace)
            yield from map(Need, KINDS)
        if change.differs("spec", "template", "metadata", "labels") and not change.deletes:
            yield Need("NetworkPolicy", change.namespace)
    elif change.kind == "Service":
        yield from (Need(kind, change.namespace) for kind in ("Pod", "Ingress", "EndpointSlice"))
    elif change.kind == "Ingress":
        yield from (Need("Service", change.namespace), Need("Ingress"))
    elif change.kind == "NetworkPolicy":
        yield from (Need("Pod", change.namespace), Need("NetworkPolicy", change.namespace))


def said(change: Change, scene: Scene) -> Impact:
    """Say which endpoints stay, come and go, and what is routed to them."""
    if change.request.verb == "evict":
        return Impact()
    questions = {"Service": _service, "Ingress": _ingress, "NetworkPolicy": _policy}
    ask = questions.get(change.kind) or (_workload if change.kind in (*WORKLOADS, "Pod") else None)
    found = list(ask(change, scene)) if ask else []
    return touched(found)


def endpoints(service: str, slices: Iterable[Json]) -> tuple[int, int]:
    """Return how many endpoints of a Service are ready, and how many there are."""
    points = [
        point
        for item in slices
        if labels_of(item).get("kubernetes.io/service-name") == service
        for point in each(item, "endpoints")
    ]
    return sum(at(point, "conditions", "ready", default=True) is not False for point in points), len(points)


def _loses_pods(change: Change) -> bool:
    return change.deletes or change.more_pods < 0


def _workload(change: Change, scene: Scene) -> Lines:
    before, after = template_labels(change.was), template_labels(change.will)
    for service in scene.of("Service", change.namespace):
        was, will = chooses(service, before), chooses(service, after) and not change.deletes
        if not (was or will):
            continue
        name, now = name_of(service), endpoints(name_of(service), scene.of("EndpointSlice", change.namespace))
        if was and not will and not change.deletes:
            yield high(
                f"Service {name} no longer selects its pods: their labels change", "a Service loses its endpoints"
            )
        elif will and not was and not change.creates:
            yield Line(f"Service {name} begins to select its pods: their labels change")
        elif change.creates:
            yield Line(f"Service {name} will also send to its pods")
        elif _loses_pods(change) and scene.knows("Pod", change.namespace):
            yield from _left(change, scene, service)
        else:
            known = scene.knows("EndpointSlice", change.namespace)
            yield Line(f"Service {name}" + (f" ({now[0]} of {now[1]} endpoints ready)" if known else ""))
    yield from _isolated(change, scene, before, after)


def _left(change: Change, scene: Scene, service: Json) -> Lines:
    """Say what a Service has left when pods of a workload stop."""
    pods = scene.of("Pod", change.namespace)
    serving = [pod for pod in chosen(service, pods) if ready(pod)]
    mine = [change.was] if change.kind == "Pod" else own_pods(change.was, pods)
    names = {name_of(pod) for pod in mine}
    own = sum(name_of(pod) in names for pod in serving)
    others = len(serving) - own
    stay = 0 if change.deletes else min(own, count(change.will))
    left = others + stay
    gone = len(serving) - left
    where = f"Service {name_of(service)}"
    if not gone:
        yield Line(f"{where} keeps its {plural(left, 'ready endpoint')}")
    elif left:
        yield Line(f"{where} loses {gone} of its {plural(len(serving), 'ready endpoint')}")
    else:
        by_routes = leading_to(scene, change.namespace, name_of(service))
        served = some(filter(None, (_routed(scene.of("Ingress", change.namespace), name_of(service)), *by_routes)))
        yield high(
            f"{where} has NO endpoint left{f'; behind it: {served}' if served else ''}",
            "a Service is left without endpoints",
        )


def _isolated(change: Change, scene: Scene, before: dict[str, str], after: dict[str, str]) -> Lines:
    """Say which network policies begin or cease to hold for a workload's pods."""
    for policy in scene.of("NetworkPolicy", change.namespace):
        selector = at(policy, "spec", "podSelector", default={})
        was, will = bool(change.was) and selects(selector, before), selects(selector, after)
        if will and not was:
            yield Line(f"NetworkPolicy {name_of(policy)} holds for its pods")
        elif was and not will:
            yield medium(
                f"NetworkPolicy {name_of(policy)} no longer holds for its pods",
                "a network policy ceases to hold for its pods",
            )


def _routed(ingresses: Iterable[Json], service: str) -> str:
    """Return which Ingresses, with their hosts, send to a Service."""
    found = []
    for ingress in ingresses:
        hosts = [host for host, _, backend in routes(ingress) if backend == service]
        if hosts:
            found.append(f"Ingress {name_of(ingress)} ({some(hosts)})")
    return some(found)


def routes(ingress: Json) -> list[tuple[str, str, str]]:
    """Return host, path and Service of each route of an Ingress; `*` for any host."""
    found = [
        (str(rule.get("host") or "*"), str(path.get("path") or "/"), _backend(path.get("backend")))
        for rule in each(ingress, "spec", "rules")
        for path in each(rule, "http", "paths")
    ]
    default = at(ingress, "spec", "defaultBackend")
    return [*found, ("*", "/", _backend(default))] if default else found


def _backend(backend: object) -> str:
    return str(at(backend, "service", "name", default=""))


def _service(change: Change, scene: Scene) -> Lines:
    served = _routed(scene.of("Ingress", change.namespace), change.name)
    if change.deletes:
        now = endpoints(change.name, scene.of("EndpointSlice", change.namespace))
        known = scene.knows("EndpointSlice", change.namespace)
        ready_now = f"; {now[0]} of {now[1]} endpoints are ready now" if known else ""
        yield high(
            f"Service {change.name} goes with its address{ready_now}", "what calls this Service no longer reaches it"
        )
        if served:
            yield Line(f"{served} would send to nothing")
        return
    if not change.will or at(change.will, "spec", "type") == "ExternalName":
        return
    yield from _selected(change, scene)
    yield from _ports(change, scene)
    was, will = (at(side, "spec", "type", default="ClusterIP") for side in (change.was, change.will))
    if will in ("LoadBalancer", "NodePort") and will != was:
        yield medium(f"It can be reached from outside the cluster (type {will})", "it opens a way in from outside")
    if change.was and was != will:
        lost = "; its external address is given up" if was == "LoadBalancer" else ""
        yield Line(f"Its type changes: {was} → {will}{lost}", ("high", "its address changes") if lost else None)
    if served:
        yield Line(f"{served} {'sends' if ' and ' not in served and ', Ingress' not in served else 'send'} to it")


def _selected(change: Change, scene: Scene) -> Lines:
    """Say which pods a Service sends to after the change, by rule 1."""
    if not scene.knows("Pod", change.namespace):
        return
    pods = scene.of("Pod", change.namespace)
    will, was = chosen(change.will, pods), chosen(change.was, pods)
    serving = sum(map(ready, will))
    if not texts(change.will, "spec", "selector"):
        if change.differs("spec", "selector") and change.was:
            yield high("It selects no pods any more; somebody else has to write its endpoints", "no endpoints")
        return
    now = f" (now {sum(map(ready, was))} of {len(was)})" if change.was else ""
    if not change.was or change.differs("spec", "selector"):
        text = f"Service {change.name} will have {serving} of {plural(len(will), 'endpoint')} ready{now}"
    else:
        text = f"Service {change.name} ({serving} of {len(will)} endpoints ready)"
    bad = not serving and bool(was or not change.creates) and change.differs("spec", "selector")
    yield Line(text, ("high", "the Service would have no ready endpoint") if bad else None)


def _ports(change: Change, scene: Scene) -> Lines:
    """Say which ports lead nowhere, by rule 2, and which are gone."""
    pods = chosen(change.will, scene.of("Pod", change.namespace))
    named = {str(p.get("name")) for pod in pods for c in each(pod, "spec", "containers") for p in each(c, "ports")}
    for port in each(change.will, "spec", "ports"):
        target = port.get("targetPort")
        if isinstance(target, str) and not target.isdigit() and pods and target not in named:
            yield high(
                f"Port {port.get('port')} leads to the named port {target!r}, which no container of its pods declares",
                "a port of the Service leads nowhere",
            )
    before = {str(port.get("port")) for port in each(change.was, "spec", "ports")}
    gone = sorted(before - {str(port.get("port")) for port in each(change.will, "spec", "ports")})
    if gone:
        yield high(f"It no longer listens on port {some(gone)}", "callers of a port that goes away fail")


def _ingress(change: Change, scene: Scene) -> Lines:
    before, after = set(routes(change.was)), set() if change.deletes else set(routes(change.will))
    kept = {(host, path) for host, path, _ in after}
    gone = [host + path for host, path, _ in sorted(before) if (host, path) not in kept]
    if gone:
        yield high(f"No longer routed: {some(gone)}", "addresses are no longer served")
    for host, path, service in sorted(after - before):
        if service and scene.knows("Service", change.namespace):
            missing = scene.one("Service", service, change.namespace) is None
            made = any((r.target.kind, r.target.name) == ("Service", service) for r in scene.requests)
            nothing = ", which does not exist" if missing and not made else ""
            yield Line(
                f"{host}{path} goes to Service {service}{nothing}",
                ("high", "a route leads to a Service that does not exist") if nothing else None,
            )
        yield from _taken(change, scene, host, path)


def _taken(change: Change, scene: Scene, host: str, path: str) -> Lines:
    """Say which other Ingress routes the same address."""
    for other in scene.of("Ingress"):
        same = (at(other, "metadata", "namespace"), name_of(other)) == (change.namespace, change.name)
        if not same and any((host, path) == (h, p) for h, p, _ in routes(other)):
            place = f"{at(other, 'metadata', 'namespace')}/{name_of(other)}"
            yield medium(
                f"Ingress {place} routes {host}{path} too: which one wins is up to the controller",
                "another Ingress routes the same address",
            )


def _policy(change: Change, scene: Scene) -> Lines:
    """Say which pods a NetworkPolicy isolates, and which it leaves open, by rule 3."""
    if not scene.knows("Pod", change.namespace):
        return
    pods = scene.of("Pod", change.namespace)
    was = _meant(change.was, pods) if change.was else []
    will = [] if change.deletes or not change.will else _meant(change.will, pods)
    others = [p for p in scene.of("NetworkPolicy", change.namespace) if name_of(p) != change.name]
    if will:
        closed = _directions(change.will)
        yield Line(f"It holds for {plural(len(will), 'pod')} now there: {_names(will)}")
        for direction, rules in closed.items():
            text = "nothing is let through" if not rules else _rules(rules)
            yield Line(
                f"{direction}: {text}, what other policies allow aside",
                ("high", f"it cuts off all {direction.lower()}") if not rules else None,
            )
            if _opens(change.will, direction) and not _opens(change.was, direction):
                yield medium(
                    f"{direction}: a rule that names nobody lets everybody through, whatever other policies say",
                    f"it opens all {direction.lower()}",
                )
    elif not change.deletes and change.will:
        yield Line("It holds for no pod that is there now")
    freed = [pod for pod in was if name_of(pod) not in {name_of(one) for one in will}]
    open_now = [p for p in freed if not any(_meant(other, [p]) for other in others)]
    if freed:
        rest = f"; no policy is left for {plural(len(open_now), 'pod')}: open to all" if open_now else ""
        yield Line(
            f"It no longer holds for {plural(len(freed), 'pod')}: {_names(freed)}{rest}",
            ("high", "pods are open to all traffic") if open_now else ("medium", "a policy holds for fewer pods"),
        )


def _rules(number: int) -> str:
    return "1 rule lets through what it names" if number == 1 else f"{number} rules let through what they name"


def _opens(policy: Json, direction: str) -> bool:
    """Return whether a rule of a policy lets everything through: without peers and without ports."""
    peers = "from" if direction == "Ingress" else "to"
    rules = each(policy, "spec", direction.lower())
    return any(not listed(rule, peers) and not listed(rule, "ports") for rule in rules)


def _meant(policy: Json, pods: Iterable[Json]) -> list[Json]:
    selector = at(policy, "spec", "podSelector", default={})
    return [pod for pod in pods if selects(selector, labels_of(pod))]


def _names(pods: Iterable[Json]) -> str:
    return some(name_of(pod) for pod in pods)


def _directions(policy: Json) -> dict[str, int]:
    """Return the directions that a policy closes, with the number of rules that open them again."""
    declared = at(policy, "spec", "policyTypes")
    egress = at(policy, "spec", "egress") is not None
    kinds = declared if isinstance(declared, list) else ["Ingress", *(["Egress"] if egress else [])]
    return {str(kind): len(each(policy, "spec", str(kind).lower())) for kind in kinds if kind in ("Ingress", "Egress")}
