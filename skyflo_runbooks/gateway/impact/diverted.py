"""Where a change leads traffic past the pods that a selector finds. Pure.

Rules:
  1. `externalIPs` of a Service take over addresses within the cluster, whoever has them
     (https://kubernetes.io/docs/concepts/services-networking/service/#external-ips, CVE-2020-8554).
  2. What EndpointSlices and Endpoints say is where a Service sends; who writes them by hand sends its callers anywhere
     (https://kubernetes.io/docs/concepts/security/rbac-good-practices/).
  3. A Service of the type ExternalName is another name for a host.
  4. What an Ingress says in annotations is its controller's own language. A snippet is put into the controller's
     configuration as it is written (CVE-2021-25742).
"""

from collections.abc import Iterable

from skyflo_runbooks.diagnosis.pods import each, labels_of, texts
from skyflo_runbooks.gateway.impact.change import Change, Lines, high, listed, medium, some, touched
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact

_SERVICE = "kubernetes.io/service-name"


def needs(_: Change) -> Iterable[Need]:
    """Nothing beyond the object itself."""
    return ()


def said(change: Change, _: Scene) -> Impact:
    """Say where callers are led from now on."""
    if change.kind == "Service" and not change.deletes:
        return touched([*_addresses(change), *_host(change)])
    if change.kind in ("EndpointSlice", "Endpoints"):
        return touched(_endpoints(change))
    if change.kind == "Ingress" and not change.deletes:
        return touched(_annotated(change))
    return Impact()


def _addresses(change: Change) -> Lines:
    was, will = (list(map(str, listed(side, "spec", "externalIPs"))) for side in (change.was, change.will))
    if new := [one for one in will if one not in was]:
        yield high(
            f"What is sent to {some(new)} within the cluster comes to it, whoever has that address (externalIPs)",
            "it takes over addresses that may be somebody else's",
        )


def _host(change: Change) -> Lines:
    host = at(change.will, "spec", "externalName")
    if host and at(change.will, "spec", "type") == "ExternalName" and change.differs("spec", "externalName"):
        yield medium(f"Who calls it is sent to the host {host}", "callers are sent to another host")


def _annotated(change: Change) -> Lines:
    was, will = (texts(side, "metadata", "annotations") for side in (change.was, change.will))
    other = sorted(key for key in {*was, *will} if was.get(key) != will.get(key) and "ingress" in key)
    snippets = [key for key in other if "snippet" in key and key in will]
    if snippets:
        yield high(
            f"{some(snippets)}: what is written there is put into its controller's configuration as it is",
            "it writes into the configuration of an Ingress controller",
        )
    elif other:
        yield medium(
            f"What its controller makes of {some(other)} is not known here",
            "what a controller makes of it is not known",
        )


def _endpoints(change: Change) -> Lines:
    service = labels_of(change.live).get(_SERVICE, "") if change.kind == "EndpointSlice" else change.name
    was, will = _reached(change.was), [] if change.deletes else _reached(change.will)
    new, gone = [one for one in will if one not in was], [one for one in was if one not in will]
    to = f"Service {service}" if service else "No Service (it names none)"
    if new:
        yield high(
            f"{to} sends to {some(new)}, which no selector found: it is written by hand",
            "traffic of a Service is led to addresses that are written by hand",
        )
    if gone and (change.deletes or change.will):
        yield medium(f"{to} no longer sends to {some(gone)}", "a Service loses endpoints")


def _reached(manifest: Json) -> list[str]:
    """Return the addresses that an EndpointSlice or an Endpoints names."""
    slices = [str(address) for point in each(manifest, "endpoints") for address in listed(point, "addresses")]
    subsets = [str(one.get("ip")) for subset in each(manifest, "subsets") for one in each(subset, "addresses")]
    return slices + subsets
