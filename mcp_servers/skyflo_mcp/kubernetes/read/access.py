"""k8s_auth_can_i: whether somebody may do something, as the cluster's own authorizers answer it.

Asked by a SelfSubjectAccessReview or a SubjectAccessReview: both are POSTs that store nothing. Asking about somebody
else takes the permission to create subjectaccessreviews; where that is missing the answer is unknown, never no.
"""

from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.answers import stamp
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.reviewing import Attributes, Subject
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import check_name, check_namespace

Verb = Annotated[str, Meta(pattern=r"^([a-z]{1,40}|\*)$", description="As in get, list, create, patch, delete, or *.")]
Name = Annotated[str, Meta(min_length=1, max_length=253)]
Sub = Annotated[str, Meta(pattern=r"^[a-z]{1,63}(/[a-z]{1,63})?$", description="As in log, exec or scale.")]
Account = Annotated[str, Meta(pattern=r"^[^/]{1,63}/[^/]{1,253}$", description="namespace/name of a ServiceAccount.")]
_EVERYBODY = "system:authenticated"


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
    return {
        "allowed": answer.allowed,
        "reason": answer.reason,
        "asked": str(what),
        "subject": subject.user if subject else await cluster.whoami(),
        "groups": list(subject.groups) if subject else None,
        "at": stamp(await cluster.now()),
    }


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
