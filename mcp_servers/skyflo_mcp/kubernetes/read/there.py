"""Nothing found in a namespace is not the same as no such namespace: a slip of its name would read as all well."""

from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import Forbidden, NotFound
from skyflo_runbooks.model.objects import ObjectRef


async def check_there(cluster: Cluster, namespace: str) -> None:
    """Raise `NotFound` where there is no such namespace. Asked where nothing was found in it.

    Who may not read namespaces is told nothing more: what was asked for was answered.
    """
    try:
        await cluster.get(ObjectRef("Namespace", namespace))
    except Forbidden:
        return
    except NotFound as error:
        raise NotFound(
            f"There is no namespace {namespace}.",
            next_step="k8s_get kind=Namespace lists them.",
            status=error.status,
            reason=error.reason,
        ) from None
