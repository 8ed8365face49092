"""Webhooks: which ones take no part in a dry run, and what a change of one means. Pure.

Rules:
  1. A webhook whose sideEffects are neither None nor NoneOnDryRun is not called in a dry run: the API server refuses
     the dry run instead (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#side-effects).
     So the lists are read only where nothing could be seen beforehand.
  2. A webhook is about a request if a rule names its group, version, resource, operation and scope, and the selectors
     mean the namespace and the object. What cannot be read of this is taken to match; matchConditions are not tried.
"""

from collections.abc import Iterable

from skyflo_runbooks.diagnosis.pods import each, labels_of, name_of, ready
from skyflo_runbooks.gateway.impact.change import Change, Lines, high, listed, some, touched
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.gateway.impact.selecting import chosen, selects
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact
from skyflo_runbooks.model.request import Request

HOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_HARMLESS = ("None", "NoneOnDryRun")
_OPERATIONS = {
    "create": "CREATE",
    "patch": "UPDATE",
    "apply": "UPDATE",
    "delete": "DELETE",
    "evict": "CREATE",
    "run": "CONNECT",
}


def needs(change: Change) -> Iterable[Need]:
    """The webhooks where nothing was seen beforehand; what serves a webhook that is changed itself."""
    if unseen(change):
        yield from (Need(kind) for kind in HOOKS)
        if change.namespace:
            yield Need("Namespace")
    elif change.kind in HOOKS:
        yield from (Need(kind, place) for place in _places(change.live) for kind in ("Service", "Pod"))


def said(change: Change, scene: Scene) -> Impact:
    """Name the webhooks that may do what nobody has seen, or say what a webhook does."""
    if unseen(change):
        blind = blind_hooks(change.request, change.live, scene)
        unknown = tuple(
            f"Webhook {name} takes no part in dry runs: what it changes or refuses is not known" for name in blind
        )
        return Impact(unknown=unknown, risks=(("high", "a webhook can change it unseen"),) if blind else ())
    if change.kind not in HOOKS:
        return Impact()
    found = list(_hook(change, scene))
    return touched(found)


def unseen(change: Change) -> bool:
    """Return whether no dry run could say what the request leaves."""
    return change.request.preview != "server" and not change.deletes


def blind_hooks(request: Request, manifest: Json, scene: Scene) -> list[str]:
    """Return the webhooks that a request would call, and that take no part in its dry run."""
    return [
        f"{hook.get('name')} ({name_of(configuration)})"
        for kind in HOOKS
        for configuration in scene.of(kind)
        for hook in each(configuration, "webhooks")
        if hook.get("sideEffects") not in _HARMLESS and concerns(hook, request, manifest, scene)
    ]


def concerns(hook: Json, request: Request, manifest: Json, scene: Scene) -> bool:
    """Return whether a webhook is called for a request, by rule 2."""
    group, version, resource = _resource(request)
    operation = _OPERATIONS[request.verb]
    called = any(
        _names(rule, "apiGroups", group)
        and _names(rule, "apiVersions", version)
        and _names(rule, "operations", operation)
        and _covers(rule, resource)
        and rule.get("scope") in (None, "*", "Namespaced" if request.target.namespace else "Cluster")
        for rule in each(hook, "rules")
    )
    if not called:
        return False
    namespace = scene.one("Namespace", request.target.namespace) if request.target.namespace else None
    return not (
        (namespace is not None and not _means(hook.get("namespaceSelector"), labels_of(namespace)))
        or (manifest and not _means(hook.get("objectSelector"), labels_of(manifest)))
    )


def _means(selector: object, labels: dict[str, str]) -> bool:
    return selector is None or selects(selector, labels)


def _resource(request: Request) -> tuple[str, str, str]:
    """Return group, version and resource with its subresource, as the request's path says them."""
    parts = request.path.strip("/").split("/")
    group = "" if parts[0] == "api" else "".join(parts[1:2])
    version, *rest = [*(parts[1:] if parts[0] == "api" else parts[2:]), ""]
    if rest[:1] == ["namespaces"] and len(rest) > 3:
        rest = rest[2:]
    sub = [part for part in rest[2:] if part]
    return group, version, "/".join([*rest[:1], *sub])


def _names(rule: Json, member: str, wanted: str) -> bool:
    listed = rule.get(member)
    return not isinstance(listed, list) or "*" in listed or wanted in listed


def _covers(rule: Json, resource: str) -> bool:
    listed = rule.get("resources")
    if not isinstance(listed, list):
        return True
    whole, _, sub = resource.partition("/")
    return any(
        one in ("*/*", resource) or (one == "*" and not sub) or one in (f"{whole}/*", f"*/{sub}" if sub else "*")
        for one in listed
    )


def _places(configuration: Json) -> set[str]:
    found = (at(hook, "clientConfig", "service", "namespace") for hook in each(configuration, "webhooks"))
    return {place for place in found if isinstance(place, str) and place}


def _hook(change: Change, scene: Scene) -> Lines:
    """Say what a webhook is asked about, and whether anybody answers."""
    if change.deletes:
        names = some(str(hook.get("name")) for hook in each(change.was, "webhooks"))
        yield high(
            f"No longer asked: {names}; what it refused or completed passes as it is", "an admission check goes away"
        )
        return
    for hook in each(change.will, "webhooks"):
        what = some(str(one) for rule in each(hook, "rules") for one in listed(rule, "resources"))
        strict = at(hook, "failurePolicy", default="Fail") == "Fail"
        yield high(f"{hook.get('name')} is asked about {what}", "a webhook can refuse or change what others write")
        if strict and _silent(hook, scene):
            yield high(
                f"{hook.get('name')} has NO ready pod behind it and failurePolicy Fail: all of that is REFUSED",
                "a webhook that does not answer blocks writes",
            )


def _silent(hook: Json, scene: Scene) -> bool:
    """Return whether the Service of a webhook is known to have no ready pod."""
    namespace, name = (str(at(hook, "clientConfig", "service", part, default="")) for part in ("namespace", "name"))
    if not name or not (scene.knows("Service", namespace) and scene.knows("Pod", namespace)):
        return False
    service = scene.one("Service", name, namespace)
    return service is None or not any(map(ready, chosen(service, scene.of("Pod", namespace))))
