"""k8s_create_job: a Job from a CronJob, now; or from another Job that failed, under a new name.

A Job's template is fixed, so what is to be different is said here: images, and variables, limits and requests of one
container.
"""

import copy
from typing import Annotated

import jsonpatch
from msgspec import Meta

from skyflo_mcp.kubernetes.change import env, image, operations, target, words
from skyflo_mcp.kubernetes.change.env import Values
from skyflo_mcp.kubernetes.change.image import Images
from skyflo_mcp.kubernetes.change.operations import Operation, Target
from skyflo_mcp.kubernetes.change.words import Amounts
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import find_container, uid
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef, check_name, check_namespace
from skyflo_runbooks.model.request import Rendered, Request

Source = Annotated[str, Meta(description="Its name.", max_length=253)]
# What the controller of the former Job wrote.
_OF_THE_CONTROLLER = (
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
)
_LONGEST = 63


async def k8s_create_job(
    cluster: Cluster,
    *,
    namespace: str,
    name: str,
    cronjob: Source | None = None,
    job: Source | None = None,
    images: Images | None = None,
    container: str | None = None,
    set: Values | None = None,  # noqa: A002  (as k8s_set_env)
    limits: Amounts | None = None,
    requests: Amounts | None = None,
) -> Rendered:
    """Make a Job from a CronJob (a run now) or from another Job (again, under a new name)."""
    if (cronjob is None) == (job is None):
        raise BadInput("A Job is made from one thing.", next_step="Say cronjob=… or job=….")
    if len(check_name(name)) > _LONGEST:
        raise BadInput(f"The name of a Job has at most {_LONGEST} characters.")
    kind, source = ("CronJob", cronjob) if cronjob is not None else ("Job", job or "")
    check_namespace(namespace)
    found = await target.read(cluster, kind, namespace, source)
    manifest = from_cronjob(found.manifest, name) if kind == "CronJob" else from_job(found.manifest, name)
    sizes = {"limits": words.amounts(limits or {}), "requests": words.amounts(requests or {})}
    changes = [*image.changes(manifest, images or {}), *_different(manifest, container, set or {}, sizes)]
    if changes:
        manifest = jsonpatch.apply_patch(manifest, operations.unique(changes))
    resource = await cluster.resource("Job", "batch/v1")
    ref = ObjectRef("Job", name, namespace, resource.api_version)
    return Rendered(
        (Request("create", ref, resource.collection(namespace), manifest),),
        title=f"job/{name}: run {found.kubectl_name}{' with changes' if changes else ''}",
        equivalent=_equivalent(found, ref, changed=bool(changes)),
        notes=("What its pods do outside of the cluster's objects is not undone when it is deleted.",),
    )


def from_cronjob(cronjob: Json, name: str) -> Json:
    """Return the Job that the CronJob would start, as `kubectl create job --from` makes it. Pure."""
    template = copy.deepcopy(at(cronjob, "spec", "jobTemplate", default={}))
    metadata = template.get("metadata") or {}
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": at(cronjob, "metadata", "name")}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": at(cronjob, "metadata", "namespace"),
            "labels": metadata.get("labels") or {},
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual", **(metadata.get("annotations") or {})},
            "ownerReferences": [{**owner, "uid": uid(cronjob), "controller": True}],
        },
        "spec": template.get("spec") or {},
    }


def from_job(job: Json, name: str) -> Json:
    """Return a Job like the one that was, without what its controller wrote into it. Pure."""
    spec = copy.deepcopy(job.get("spec") or {})
    for member in ("selector", "manualSelector", "suspend"):
        spec.pop(member, None)
    labels = at(spec, "template", "metadata", "labels", default={})
    own: Json = dict(at(job, "metadata", "labels", default={}))
    for key in _OF_THE_CONTROLLER:
        labels.pop(key, None)
        own.pop(key, None)
    namespace = at(job, "metadata", "namespace")
    metadata = {"name": name, "namespace": namespace} | ({"labels": own} if own else {})
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _different(
    manifest: Json, container: str | None, values: dict[str, str | dict[str, str]], sizes: dict[str, dict[str, str]]
) -> list[Operation]:
    """Return what is to be different in one container: it need not be named where there is only one."""
    if not values and not any(sizes.values()):
        return []
    known = at(manifest, "spec", "template", "spec", "containers", default=[])
    if container is None and len(known) != 1:
        names = ", ".join(str(one.get("name")) for one in known)
        raise BadInput("Its pods have several containers.", next_step=f"Say container=…, one of {names}.")
    place = find_container(manifest, container if container is not None else str(known[0].get("name")))
    changes = env.setting(place, env.entries(values))
    for member, amounts in sizes.items():
        wanted = {**at(place.value, "resources", member, default={}), **amounts}
        if amounts:
            changes += operations.put(manifest, (*place.path, "resources", member), wanted)
    return changes


def _equivalent(found: Target, ref: ObjectRef, *, changed: bool) -> str:
    if found.ref.kind == "CronJob" and not changed:
        return found.kubectl("create", "job", ref.name, f"--from={found.kubectl_name}")
    return found.kubectl("create", "-f", f"{ref.name}.yaml")
