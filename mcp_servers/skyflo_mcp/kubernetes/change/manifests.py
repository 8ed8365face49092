"""Manifests that somebody gave: checked one by one, and placed in the cluster.

Rules:
  1. A manifest names its kind, apiVersion and name; no two name the same object. What only the server writes (status,
     uid, resourceVersion, managedFields) is left out, and a note says so.
  2. The kind is one that the cluster serves, in the version that it prefers, or one whose definition stands among the
     manifests. An object without a namespace gets the one that was said; its namespace exists or is among them.
  3. They go in the order of helm and kubectl: namespaces and definitions first, webhooks last.
  4. What cannot be dry-run before an earlier one is there is previewed `later`.
  5. The values of a Secret are references («masked:…»), never written down (`unwritten`).
"""

import asyncio
import re
from collections import Counter
from typing import Annotated

import msgspec
from msgspec import Meta

from skyflo_mcp.kubernetes.change import yaml_text
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import Forbidden, NotFound
from skyflo_mcp.kubernetes.resources import Resource
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef, check_name, check_namespace
from skyflo_runbooks.model.request import Preview

Content = Annotated[
    str | list[Json], Meta(description="YAML or JSON text, several documents too; or a list of manifests.")
]
MOST = 100
# The order in which helm installs (pkg/release/v1/util/kind_sorter.go), with definitions in front.
_FIRST = (
    *("Namespace", "CustomResourceDefinition", "PriorityClass", "NetworkPolicy", "ResourceQuota", "LimitRange"),
    *("PodDisruptionBudget", "ServiceAccount", "Secret", "ConfigMap", "StorageClass", "PersistentVolume"),
    *("PersistentVolumeClaim", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Service", "DaemonSet"),
    *("Pod", "ReplicationController", "ReplicaSet", "Deployment", "HorizontalPodAutoscaler", "StatefulSet", "Job"),
    *("CronJob", "IngressClass", "Ingress", "APIService"),
)
_LAST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_RANK = {kind: place for place, kind in enumerate(_FIRST)} | {kind: 1_000 + n for n, kind in enumerate(_LAST)}
_SERVER = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")
_VERSION = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?v[0-9][a-z0-9]{0,20}")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]{0,62}")
_MARK = re.compile(r"«masked:[0-9a-f]{12}»")
_SECRET = ("data", "stringData")


class Placed(msgspec.Struct, frozen=True):
    """One manifest, complete with its namespace, and where it goes."""

    resource: Resource
    ref: ObjectRef
    manifest: Json
    preview: Preview = "server"


def read(content: str | list[Json]) -> list[Json]:
    """Return the manifests of a text or a list, those of a `List` one by one; `BadInput` by rule 1. Pure."""
    if isinstance(content, str):
        found = yaml_text.documents(content)
    else:
        if len(msgspec.json.encode(content)) > yaml_text.LARGEST:
            raise BadInput(f"The manifests are larger than {yaml_text.LARGEST // 1024} KiB.")
        found = list(content)
    manifests = [one for document in found for one in _items(document)]
    if not 0 < len(manifests) <= MOST:
        raise BadInput(f"Between 1 and {MOST} manifests were expected, got {len(manifests)}.")
    return [checked(one) for one in manifests]


def checked(manifest: object) -> Json:
    """Return a manifest that names an object as Kubernetes names one, else raise `BadInput`. Pure."""
    if not isinstance(manifest, dict):
        raise BadInput(
            f"A manifest was expected, got {type(manifest).__name__}.", next_step="It begins with apiVersion."
        )
    version, kind, metadata = manifest.get("apiVersion"), manifest.get("kind"), manifest.get("metadata")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise BadInput(f"{str(version)[:80]!r} is no apiVersion.", next_step="Write it like v1 or apps/v1.")
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise BadInput(f"{str(kind)[:80]!r} is no kind.", next_step="Write it like Deployment.")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str):
        raise BadInput(f"A {kind} without metadata.name cannot be applied.", next_step="generateName is not taken.")
    check_name(name, kind=kind)
    if "namespace" in metadata:
        check_namespace(str(metadata["namespace"]))
    for member in ("labels", "annotations"):
        for key, value in (metadata.get(member) or {}).items() if isinstance(metadata.get(member), dict) else ():
            if not isinstance(value, str):
                raise BadInput(f"{kind}/{name}: {member[:-1]} {key} is {value!r}, and no text.", next_step="Quote it.")
    return manifest


def unwritten(content: object) -> None:
    """Raise `BadInput` where a Secret's value is written down, by rule 5. Called with what was asked for. Pure."""
    if isinstance(content, str) and "«" in content:
        raise BadInput(
            "A reference cannot stand inside a text.", next_step="Give the manifests as a list of objects instead."
        )
    manifests = read(content) if isinstance(content, str | list) else [checked(content)]
    for manifest in manifests:
        if manifest["kind"] != "Secret":
            continue
        for member in _SECRET:
            values = manifest.get(member) or {}
            if not isinstance(values, dict) or not all(_MARK.fullmatch(str(value)) for value in values.values()):
                raise BadInput(
                    f"The values of Secret {at(manifest, 'metadata', 'name')} are not written down here.",
                    next_step="Leave them out and set them with k8s_set_secret, or give «masked:…» references.",
                )


def without_servers(manifest: Json) -> tuple[Json, tuple[str, ...]]:
    """Return the manifest without what only the server writes, and the names of what was left out. Pure."""
    gone = ["status"] * ("status" in manifest)
    gone += [f"metadata.{name}" for name in _SERVER if name in manifest["metadata"]]
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in _SERVER}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}, tuple(gone)


async def place(cluster: Cluster, manifests: list[Json], namespace: str) -> list[Placed]:
    """Return the manifests in order, each with its place in the cluster, by rules 2 to 4."""
    check_namespace(namespace)
    defined = _defined(manifests)
    placed = [await _place(cluster, one, namespace, defined) for one in manifests]
    for ref, count in Counter(one.ref for one in placed).items():
        if count > 1:
            raise BadInput(f"{ref} stands there {count} times.", next_step="Leave one of them.")
    coming = await _coming(cluster, placed)
    return [_previewed(one, coming) for one in sorted(placed, key=lambda one: _RANK.get(one.ref.kind, 500))]


def _items(document: object) -> list[object]:
    if isinstance(document, dict) and document.get("kind") == "List" and isinstance(document.get("items"), list):
        return list(document["items"])
    return [document]


def _defined(manifests: list[Json]) -> dict[tuple[str, str], list[Resource]]:
    """Return the kinds that the manifests define, by apiVersion and kind."""
    found: dict[tuple[str, str], list[Resource]] = {}
    for manifest in manifests:
        if manifest["kind"] != "CustomResourceDefinition":
            continue
        spec = manifest.get("spec") or {}
        for version in at(spec, "versions", default=[]):
            resource = Resource(
                kind=str(at(spec, "names", "kind", default="")),
                plural=str(at(spec, "names", "plural", default="")),
                group=str(at(spec, "group", default="")),
                version=str(at(version, "name", default="")),
                namespaced=at(spec, "scope") == "Namespaced",
                singular=str(at(spec, "names", "singular", default="")),
            )
            found.setdefault((resource.api_version, resource.kind), []).append(resource)
    return found


async def _place(
    cluster: Cluster, manifest: Json, namespace: str, defined: dict[tuple[str, str], list[Resource]]
) -> Placed:
    version, kind = manifest["apiVersion"], manifest["kind"]
    preview: Preview = "server"
    try:
        resource = await cluster.resource(kind, version)
    except NotFound:
        if (version, kind) not in defined:
            raise
        resource, preview = defined[version, kind][0], "later"
    if (resource.kind, resource.api_version) != (kind, version):
        raise BadInput(
            f"{kind} of {version} is served as {resource.kind} of {resource.api_version} here.",
            next_step="Write the manifest for that.",
        )
    metadata = manifest["metadata"]
    if not resource.namespaced and "namespace" in metadata:
        raise BadInput(f"A {kind} lives in no namespace, and {metadata['name']} names one.", next_step="Leave it out.")
    where = str(metadata.get("namespace", namespace)) if resource.namespaced else ""
    whole = {**manifest, "metadata": {**metadata, "namespace": where}} if where else manifest
    return Placed(resource, ObjectRef(kind, metadata["name"], where, version), whole, preview)


async def _coming(cluster: Cluster, placed: list[Placed]) -> set[tuple[str, str, str]]:
    """Return which of the things that others stand on are made here and are not there yet: kind, namespace, name."""
    made = {_key(one.ref) for one in placed if one.ref.kind in ("Namespace", "ServiceAccount", "PriorityClass")}
    for namespace in sorted({one.ref.namespace for one in placed} - {""}):
        if ("Namespace", "", namespace) not in made and not await _there(cluster, ObjectRef("Namespace", namespace)):
            raise BadInput(f"There is no namespace {namespace}.", next_step="Put a Namespace among the manifests.")
    known = sorted(made)
    fresh = await asyncio.gather(*(_there(cluster, ObjectRef(kind, name, where)) for kind, where, name in known))
    return {key for key, there in zip(known, fresh, strict=True) if not there}


async def _there(cluster: Cluster, ref: ObjectRef) -> bool:
    """Return whether an object is there; one that may not be read is taken to be, and the dry run says."""
    try:
        await cluster.get(ref)
    except NotFound:
        return False
    except Forbidden:
        return True
    return True


def _previewed(one: Placed, coming: set[tuple[str, str, str]]) -> Placed:
    needs = {("Namespace", "", one.ref.namespace)}
    if one.ref.kind == "Pod":
        spec = one.manifest.get("spec")
        needs.add(("ServiceAccount", one.ref.namespace, str(at(spec, "serviceAccountName", default="default"))))
        needs.add(("PriorityClass", "", str(at(spec, "priorityClassName", default=""))))
    return msgspec.structs.replace(one, preview="later") if needs & coming else one


def _key(ref: ObjectRef) -> tuple[str, str, str]:
    return ref.kind, ref.namespace, ref.name
