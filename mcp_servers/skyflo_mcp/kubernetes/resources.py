"""What kinds the cluster serves: names of resources and their paths, from discovery.

A kind may be named as people name it: `Deployment`, `deployments`, `deploy`, `deployments.apps`, `Deployment.apps`.
Where several groups serve the same name the core group is taken first, then the order in which the server lists its
groups, as kubectl does; `api_version` or the dotted form says it exactly.

Every path to an object is built here, and every name in it is checked here against Kubernetes' own rules, so no
argument of a tool can leave its place in the path.
"""

from collections.abc import Iterable

import msgspec

from skyflo_mcp.kubernetes.errors import NotFound
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import check_name, check_namespace


class Resource(msgspec.Struct, frozen=True):
    """One kind that the cluster serves, in the version that its group prefers; `others` are further served versions."""

    kind: str
    plural: str
    group: str
    version: str
    namespaced: bool
    verbs: tuple[str, ...] = ()
    singular: str = ""
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def collection(self, namespace: str | None = None) -> str:
        """Return the path of the list: of one namespace, or of the whole cluster."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if namespace and self.namespaced:
            return f"{root}/namespaces/{check_namespace(namespace)}/{self.plural}"
        return f"{root}/{self.plural}"

    def path(self, namespace: str | None, name: str) -> str:
        """Return the path of one object."""
        check_name(name, kind=self.kind)
        if self.namespaced and not namespace:
            raise BadInput(
                f"{self.kind} {name} lives in a namespace, and none was given.", next_step="Say namespace=…."
            )
        return f"{self.collection(namespace)}/{name}"

    def named(self, said: str) -> bool:
        """Return whether `said` means this kind."""
        wanted = said.lower()
        words = {self.kind.lower(), self.plural, self.singular, *self.short} - {""}
        if wanted in words:
            return True
        suffixes = {f".{self.group}", f".{self.version}.{self.group}"} if self.group else set()
        return any(wanted.endswith(suffix) and wanted[: -len(suffix)] in words for suffix in suffixes)


def find(resources: tuple[Resource, ...], said: str, api_version: str = "") -> Resource:
    """Return the resource that `said` names, or raise `NotFound` with the nearest names."""
    matches = [found for found in resources if found.named(said)]
    if api_version:
        # An object keeps the apiVersion it was written with: one that is served no more leads to the preferred one.
        group, _, version = api_version.rpartition("/")
        matches = [found for found in matches if found.group == group]
        matches = [msgspec.structs.replace(one, version=version) if version in one.others else one for one in matches]
    if matches:
        return matches[0]
    raise NotFound(
        f"This cluster serves no kind named {said[:80]!r}{f' in {api_version[:80]}' if api_version else ''}.",
        next_step=_nearest(resources, said),
        status=404,
        reason="NotFound",
    )


def _nearest(resources: tuple[Resource, ...], said: str) -> str:
    import difflib

    by_word = {word: found.kind for found in resources for word in (found.kind.lower(), found.plural, *found.short)}
    near = dict.fromkeys(by_word[word] for word in difflib.get_close_matches(said.lower(), by_word, n=3))
    return f"Near to it: {', '.join(near)}." if near else "k8s_get kind=CustomResourceDefinition lists the added kinds."


def aggregated(answer: Json) -> list[Resource]:
    """Return the resources of an APIGroupDiscoveryList, in the server's order."""
    return preferring(
        _aggregated_resource(group, version, entry)
        for group in answer.get("items") or []
        for version in group.get("versions") or []
        for entry in version.get("resources") or []
        if at(entry, "responseKind", "kind")
    )


def preferring(served: Iterable[Resource]) -> list[Resource]:
    """Return each kind once, in the version that comes first: a group lists the one that it prefers first."""
    found: dict[tuple[str, str], Resource] = {}
    for one in served:
        first = found.setdefault((one.group, one.plural), one)
        if first is not one:
            found[one.group, one.plural] = msgspec.structs.replace(first, others=(*first.others, one.version))
    return list(found.values())


def _aggregated_resource(group: Json, version: Json, entry: Json) -> Resource:
    return Resource(
        kind=entry["responseKind"]["kind"],
        plural=entry["resource"],
        group=at(group, "metadata", "name", default=""),
        version=version["version"],
        namespaced=entry.get("scope") == "Namespaced",
        verbs=tuple(entry.get("verbs") or ()),
        singular=entry.get("singularResource") or "",
        short=tuple(entry.get("shortNames") or ()),
        subresources=tuple(sub["subresource"] for sub in entry.get("subresources") or []),
    )


def listed(answer: Json) -> list[Resource]:
    """Return the resources of an APIResourceList, the older form of discovery."""
    group, _, version = str(answer.get("groupVersion", "v1")).rpartition("/")
    entries = answer.get("resources") or []
    subs: dict[str, list[str]] = {}
    for entry in entries:
        plural, slash, sub = entry["name"].partition("/")
        if slash:
            subs.setdefault(plural, []).append(sub)
    return [
        Resource(
            kind=entry["kind"],
            plural=entry["name"],
            group=group,
            version=version,
            namespaced=bool(entry.get("namespaced")),
            verbs=tuple(entry.get("verbs") or ()),
            singular=entry.get("singularName") or "",
            short=tuple(entry.get("shortNames") or ()),
            subresources=tuple(subs.get(entry["name"], ())),
        )
        for entry in entries
        if "/" not in entry["name"]
    ]
