"""k8s_run_pod: one pod of an image, which ends when its command does.

It gets no token of the cluster except with `service_account`, and with `restricted` it meets the Pod Security Standard
of that name (https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted).
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, words
from skyflo_mcp.kubernetes.change.words import Amounts, Argv
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef, check_name, check_namespace
from skyflo_runbooks.model.request import Rendered, Request

Restart = Literal["Never", "OnFailure", "Always"]
User = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_HARDENED: Json = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


async def k8s_run_pod(
    cluster: Cluster,
    *,
    name: str,
    image: str,
    namespace: str = "default",
    command: Argv | None = None,
    restart: Restart = "Never",
    limits: Amounts | None = None,
    requests: Amounts | None = None,
    service_account: str = "",
    restricted: bool = False,
    run_as_user: User | None = None,
) -> Rendered:
    """Run one pod of an image; command is a list of words, and no shell reads it."""
    ref = ObjectRef("Pod", check_name(name), check_namespace(namespace), "v1")
    container: Json = {"name": "main", "image": operations.plain(image, "an image")}
    if command is not None:
        container["command"] = words.command(command)
    sizes = {"limits": words.amounts(limits or {}), "requests": words.amounts(requests or {})}
    if any(sizes.values()):
        container["resources"] = {member: amounts for member, amounts in sizes.items() if amounts}
    security = dict(_HARDENED if restricted else {}) | ({"runAsUser": run_as_user} if run_as_user else {})
    if security:
        container["securityContext"] = security
    spec: Json = {"containers": [container], "restartPolicy": restart}
    if service_account:
        spec["serviceAccountName"] = check_name(service_account)
    else:
        spec["automountServiceAccountToken"] = False
    manifest: Json = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"run": name[:63].rstrip("-.")}},
        "spec": spec,
    }
    resource = await cluster.resource("Pod", "v1")
    return Rendered(
        (Request("create", ref, resource.collection(namespace), manifest),),
        title=f"pod/{name}: run {image}",
        equivalent=_equivalent(ref, image, restart, command, spec),
        notes=("What its command does outside of it is not undone when it is deleted.",),
    )


def _equivalent(ref: ObjectRef, image: str, restart: Restart, command: list[str] | None, spec: Json) -> str:
    # What `kubectl run` has no flag for, it takes as the pod's own fields.
    own = {key: value for key, value in spec.items() if key not in ("containers", "restartPolicy")}
    own["containers"] = spec["containers"]
    overrides = msgspec.json.encode({"spec": own}).decode()
    flags = ["run", ref.name, f"--image={image}", f"--restart={restart}", f"--overrides={overrides}"]
    return operations.kubectl(ref.namespace, *flags, *(["--command", "--", *command] if command else []))
