"""k8s_set_secret: keys of a Secret, which is created where there is none.

The values come as references («masked:…», what a read showed of a value) or are typed by an operator on the gateway's
page («entry»); the gateway refuses anything else before this is called, because whatever a cell can write down is in
the notebook (`Tool.sealed`). What is rendered here holds the values; nothing of it is shown. It says `kind: Secret`,
also as a patch, so that whatever looks at it knows what it is.
"""

import base64
import re
from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.change import target
from skyflo_mcp.kubernetes.change.operations import Target
from skyflo_mcp.kubernetes.cleaning import MASKED
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import NotFound
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef, check_name
from skyflo_runbooks.model.request import MERGE_PATCH, Rendered, Request

Values = Annotated[
    dict[str, str],
    Meta(
        min_length=1,
        description="Value by key: «entry» for one that an operator types before approving, or a «masked:…» reference.",
    ),
]
SecretType = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9._/]{0,251}[A-Za-z0-9])?$")]
_KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")
_LARGEST = 2**20


async def k8s_set_secret(
    cluster: Cluster,
    *,
    namespace: str,
    name: str,
    values: Values,
    type: SecretType = "Opaque",  # noqa: A002
) -> Rendered:
    """Set keys of a Secret; where there is no such Secret it is created, of the given type.

    No value is written here: give «entry» for a value that an operator types on the gateway's page before approving,
    or the «masked:…» reference under which a read showed it. Other keys stay as they are.
    """
    check_name(name)
    if wrong := [key for key in values if not _KEY.fullmatch(key)]:
        raise BadInput(
            f"{wrong[0][:80]!r} cannot be a key of a Secret.", next_step="Letters, digits, '-', '_' and '.' are."
        )
    if sum(len(value.encode()) for value in values.values()) > _LARGEST:
        raise BadInput(f"A Secret holds at most {_LARGEST // 1024} KiB.")
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    manifest: Json = {"apiVersion": "v1", "kind": "Secret", "data": data}
    try:
        found = await target.read(cluster, "Secret", namespace, name)
    except NotFound:
        return await _created(cluster, {**manifest, "type": type}, namespace, name)
    if at(found.manifest, "immutable"):
        raise BadInput(f"Secret {name} is immutable.", next_step="Make another one, and let its users name that.")
    return Rendered(
        (Request("patch", found.ref, found.path, manifest, MERGE_PATCH),),
        title=f"secret/{name}: set {', '.join(data)}",
        equivalent=found.kubectl("patch", f"secret/{name}", "--type=merge", "-p", MASKED),
        notes=("Pods that have it as environment variables see the new values after a restart.",),
    )


async def _created(cluster: Cluster, manifest: Json, namespace: str, name: str) -> Rendered:
    resource = await cluster.resource("Secret", "v1")
    placed = {**manifest, "metadata": {"name": name, "namespace": namespace}}
    pairs = [f"--from-literal={key}={MASKED}" for key in manifest["data"]]
    return Rendered(
        (Request("create", ObjectRef("Secret", name, namespace, "v1"), resource.collection(namespace), placed),),
        title=f"secret/{name}: create with {', '.join(manifest['data'])}",
        equivalent=Target(resource, placed).kubectl("create", "secret", "generic", name, *pairs),
    )
