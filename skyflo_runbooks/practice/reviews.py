"""Reviews: what may I do, what may somebody else do, and who am I."""

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.access import Access, User, known
from skyflo_runbooks.practice.kinds import Kind

REVIEWS = Kind("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews")
PLURALS = ("selfsubjectaccessreviews", "selfsubjectreviews", "subjectaccessreviews")


def answer(access: Access, user: User, plural: str, body: Json) -> Json:
    """Return a review with its status filled in."""
    if plural == "selfsubjectreviews":
        info = {"username": user.name, "groups": list(user.groups)}
        return {
            **body,
            "kind": "SelfSubjectReview",
            "apiVersion": "authentication.k8s.io/v1",
            "status": {"userInfo": info},
        }
    kind, about = "SelfSubjectAccessReview", [user]
    if plural == "subjectaccessreviews":
        access.check(user, "create", REVIEWS, "", "")
        spec = at(body, "spec", default={})
        kind, about = "SubjectAccessReview", known(str(spec.get("user", "")), spec.get("groups") or [])
    asked = at(body, "spec", "resourceAttributes", default={})
    what = (asked.get("verb", ""), asked.get("group", ""), asked.get("resource", ""), asked.get("subresource", ""))
    roles = [one.role for one in about if access.allows(one, *what)]
    status: Json = {"allowed": bool(roles)}
    if roles:
        status["reason"] = f"practice role {roles[0]}"
    return {**body, "kind": kind, "apiVersion": "authorization.k8s.io/v1", "status": status}
