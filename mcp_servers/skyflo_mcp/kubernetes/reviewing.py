"""Whether somebody may do something: SubjectAccessReview, and in whose name a request is sent. Pure."""

import msgspec

from skyflo_runbooks.model.json import Json, at


class Attributes(msgspec.Struct, frozen=True):
    """What is asked about, in the API server's own words for authorization."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        what += f".{self.group}" if self.group else ""
        return (
            f"{self.verb} {what}"
            + (f" {self.name}" if self.name else "")
            + (f" in {self.namespace}" if self.namespace else "")
        )


class Subject(msgspec.Struct, frozen=True):
    """A user of the cluster with their groups."""

    user: str
    groups: tuple[str, ...] = ()

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return the headers that send a request in this user's name.

        https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
        """
        return (("Impersonate-User", self.user), *(("Impersonate-Group", group) for group in self.groups))


class Review(msgspec.Struct, frozen=True):
    """The cluster's answer; `reason` is in its own words."""

    allowed: bool
    reason: str = ""


_ROOT = "/apis/authorization.k8s.io/v1"


def asking(attributes: Attributes, subject: Subject | None) -> tuple[str, Json]:
    """Return the path and the review that asks about somebody, or (None) about the credential that asks."""
    said = {name: value for name, value in msgspec.to_builtins(attributes).items() if value}
    spec: Json = {"resourceAttributes": said}
    if subject is None:
        return f"{_ROOT}/selfsubjectaccessreviews", _review("SelfSubjectAccessReview", spec)
    spec |= {"user": subject.user, "groups": list(subject.groups)}
    return f"{_ROOT}/subjectaccessreviews", _review("SubjectAccessReview", spec)


def _review(kind: str, spec: Json) -> Json:
    return {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}


def read(answer: Json) -> Review:
    """Return what a review said. A denial stands before an allowance, and an evaluation error before both."""
    said = at(answer, "status", default={})
    error = str(said.get("evaluationError", ""))
    allowed = said.get("allowed") is True and said.get("denied") is not True
    return Review(allowed, error or str(said.get("reason", "")))
