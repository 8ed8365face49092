"""k8s_cronjob_suspend and k8s_cronjob_resume: whether a CronJob starts Jobs."""

from skyflo_mcp.kubernetes.change import operations, target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_runbooks.model.json import at
from skyflo_runbooks.model.request import Rendered

_PATH = ("spec", "suspend")


async def k8s_cronjob_suspend(cluster: Cluster, *, namespace: str, name: str) -> Rendered:
    """Let a CronJob start no further Job; those that run go on."""
    found = await target.read(cluster, "CronJob", namespace, name)
    active = len(at(found.manifest, "status", "active", default=[]))
    return found.render(
        [] if at(found.manifest, *_PATH) else operations.put(found.manifest, _PATH, True),
        title=f"{found.kubectl_name}: suspend",
        equivalent=found.kubectl("patch", found.kubectl_name, "-p", '{"spec":{"suspend":true}}'),
        notes=(f"{active} of its Jobs run now and go on.",) if active else (),
    )


async def k8s_cronjob_resume(cluster: Cluster, *, namespace: str, name: str) -> Rendered:
    """Let a CronJob start its Jobs again."""
    found = await target.read(cluster, "CronJob", namespace, name)
    suspended = at(found.manifest, *_PATH)
    return found.render(
        operations.put(found.manifest, _PATH, False) if suspended else [],
        title=f"{found.kubectl_name}: resume, schedule {at(found.manifest, 'spec', 'schedule', default='?')}",
        equivalent=found.kubectl("patch", found.kubectl_name, "-p", '{"spec":{"suspend":false}}'),
        notes=("A run that was missed meanwhile may start at once.",) if suspended else (),
    )
