"""Discovery: what the cluster serves, in the unaggregated form, and just enough OpenAPI for kubectl.

kubectl asks OpenAPI one thing before a write: does a patch of this kind take `fieldValidation`? The documents here
answer that and hold no schemas, so `kubectl explain` does not work.
"""

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice.kinds import KINDS, Kind, groups

VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.3-skyflo.practice",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "practice/simulated",
}
_EXTRA = (("authorization.k8s.io", "v1"), ("authentication.k8s.io", "v1"), ("metrics.k8s.io", "v1beta1"))
_SUB_VERBS = {
    "status": ["get", "patch", "update"],
    "scale": ["get", "patch", "update"],
    "log": ["get"],
    "proxy": ["get"],
    "eviction": ["create"],
}
_REVIEWS = {
    "authorization.k8s.io": ("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    "authentication.k8s.io": ("selfsubjectreviews", "SelfSubjectReview"),
}


def core_versions(address: str) -> Json:
    """Return `/api`."""
    places = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": places}


def _group(name: str, version: str) -> Json:
    known = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [known], "preferredVersion": known}


def group_list() -> Json:
    """Return `/apis`."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*item) for item in (*groups(), *_EXTRA)]}


def group(name: str) -> Json | None:
    """Return `/apis/NAME`."""
    version = dict((*groups(), *_EXTRA)).get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, version)} if version else None


def resource_list(name: str, version: str) -> Json | None:
    """Return the resources of one group and version."""
    if name == "metrics.k8s.io":
        listed = [_metric("nodes", "NodeMetrics", namespaced=False), _metric("pods", "PodMetrics", namespaced=True)]
    elif name in _REVIEWS:
        plural, kind = _REVIEWS[name]
        listed = [{"name": plural, "singularName": "", "namespaced": False, "kind": kind, "verbs": ["create"]}]
    else:
        listed = [entry for kind in KINDS if (kind.group, kind.version) == (name, version) for entry in _resource(kind)]
    if not listed or (name, version) not in ((*groups(), *_EXTRA, ("", "v1"))):
        return None
    full = f"{name}/{version}" if name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": full, "resources": listed}


def _metric(plural: str, kind: str, *, namespaced: bool) -> Json:
    return {"name": plural, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]}


def _resource(kind: Kind) -> list[Json]:
    entry: Json = {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": sorted(kind.verbs),
    }
    if kind.short:
        entry["shortNames"] = list(kind.short)
    if kind.in_all:
        entry["categories"] = ["all"]
    out = [entry]
    for sub in kind.subs:
        shown = {"scale": ("Scale", "autoscaling", "v1"), "eviction": ("Eviction", "policy", "v1")}.get(sub)
        made: Json = {
            "name": f"{kind.plural}/{sub}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": shown[0] if shown else kind.kind,
            "verbs": _SUB_VERBS[sub],
        }
        if shown:
            made |= {"group": shown[1], "version": shown[2]}
        out.append(made)
    return out


def openapi_root() -> Json:
    """Return `/openapi/v3`."""
    versions = [("api/v1", "api/v1"), *((f"apis/{g}/{v}", f"apis/{g}/{v}") for g, v in groups())]
    return {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{path}?hash=practice"} for name, path in versions}}


def openapi(path: str) -> Json:
    """Return the document of one group and version: its patch operations and their parameters."""
    parts = path.split("/")
    name, version = ("", "v1") if parts[0] == "api" else (parts[1], parts[2])
    paths: Json = {}
    for kind in KINDS:
        if (kind.group, kind.version) == (name, version):
            place = "namespaces/{namespace}/" if kind.namespaced else ""
            paths[f"/{path}/{place}{kind.plural}/{{name}}"] = {"patch": _patch(kind)}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes practice cluster", "version": VERSION["gitVersion"]},
        "paths": paths,
        "components": {"schemas": {}},
    }


def _patch(kind: Kind) -> Json:
    names = ("dryRun", "fieldManager", "fieldValidation")
    return {
        "operationId": f"patch{kind.kind}",
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}} for name in names
        ],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": {"group": kind.group, "kind": kind.kind, "version": kind.version},
    }
