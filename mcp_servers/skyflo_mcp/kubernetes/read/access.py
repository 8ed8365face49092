"""k8s_auth_can_i: whether somebody may do something, as the cluster's own authorizers answer it.

Asked by a SelfSubjectAccessReview or a SubjectAccessReview: both are POSTs that store nothing. Asking about somebody
else takes the permission to create subjectaccessreviews; where that is missing the answer is unknown, never no.

The authorizers take any words: who may do everything may also do what nobody serves. So a verb, a subresource and a
namespace that the cluster does not have are named beside the answer. Rules may speak of them all the same.
"""

from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.answers import stamp
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import NotFound
from skyflo_mcp.kubernetes.read.there import check_there
from skyflo_mcp.kubernetes.resources import Resource
from skyflo_mcp.kubernetes.reviewing import Attributes, Subject
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import check_name, check_namespace

Verb = Annotated[str, Meta(pattern=r"^([a-z]{1,40}|\*)$", description="As in get, list, create, patch, delete, or *.")]
Name = Annotated[str, Meta(min_length=1, max_length=253)]
Sub = Annotated[str, Meta(pattern=r"^[a-z]{1,63}(/[a-z]{1,63})?$", description="As in log, exec or scale.")]
Account = Annotated[str, Meta(pattern=r"^[^/]{1,63}/[^/]{1,253}$", description="namespace/name of a ServiceAccount.")]
_EVERYBODY = "system:authenticated"
# Verbs of authorization that no request has: https://kubernetes.io/docs/reference/access-authn-authz/authorization/.
_SPECIAL = ("*", "use", "bind", "escalate", "impersonate", "approve", "sign", "attest")


async def k8s_auth_can_i(
    cluster: Cluster,
    *,
    verb: Verb,
    kind: str,
    namespace: str | None = None,
    name: Name | None = None,
    subresource: Sub | None = None,
    user: Name | None = None,
    groups: list[Name] | None = None,
    service_account: Account | None = None,
) -> Json:
    """Say whether the cluster allows a verb on a kind: to who asks, or to a user, to groups or to a ServiceAccount.

    Without a namespace it is about all of them, without a name about every object.
    """
    subject = _subject(user, groups or [], service_account)
    resource = await cluster.resource(kind)
    what = Attributes(
        verb=verb,
        group=resource.group,
        resource=resource.plural,
        subresource=subresource or "",
        namespace=check_namespace(namespace) if namespace and resource.namespaced else "",
        name=name or "",
    )
    answer = await cluster.review(what, subject)
    doubts = [*_unserved(resource, what), *await _nowhere(cluster, what.namespace)]
    return {
        "allowed": answer.allowed,
        "reason": answer.reason,
        "asked": str(what),
        "subject": subject.user if subject else await cluster.whoami(),
        "groups": list(subject.groups) if subject else None,
        "doubts": doubts,
        "at": stamp(await cluster.now()),
    }


def _unserved(resource: Resource, what: Attributes) -> list[str]:
    """Return what of a question this cluster does not serve of that kind, as far as its discovery says so."""
    said = []
    if what.subresource and what.subresource.partition("/")[0] not in resource.subresources:
        known = ", ".join(resource.subresources) or "none"
        said.append(f"{resource.plural} have no subresource {what.subresource}; they have: {known}.")
    if not what.subresource and resource.verbs and what.verb not in (*resource.verbs, *_SPECIAL):
        said.append(
            f"No request for {resource.plural} has the verb {what.verb}; they are: {', '.join(resource.verbs)}."
        )
    return said


async def _nowhere(cluster: Cluster, namespace: str) -> list[str]:
    """Return that there is no such namespace, where that is so."""
    try:
        if namespace:
            await check_there(cluster, namespace)
    except NotFound as error:
        return [error.message]
    return []


def _subject(user: str | None, groups: list[str], service_account: str | None) -> Subject | None:
    """Return who is asked about; None is who asks."""
    if service_account is not None:
        if user or groups:
            raise BadInput("A ServiceAccount or a user was expected, not both.")
        namespace, _, account = service_account.partition("/")
        home = check_namespace(namespace)
        belongs = ("system:serviceaccounts", f"system:serviceaccounts:{home}", _EVERYBODY)
        return Subject(f"system:serviceaccount:{home}:{check_name(account)}", belongs)
    if user is None and not groups:
        return None
    # A review without a user is about the groups alone; everybody who is known is in the last.
    return Subject(user or "", tuple(dict.fromkeys([*groups, _EVERYBODY])))
