"""Reviews: what may I do, and who am I."""

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.access import Access, User

PLURALS = ("selfsubjectaccessreviews", "selfsubjectreviews")


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
    asked = at(body, "spec", "resourceAttributes", default={})
    verb, group = asked.get("verb", ""), asked.get("group", "")
    allowed = access.allows(user, verb, group, asked.get("resource", ""), asked.get("subresource", ""))
    status: Json = {"allowed": allowed}
    if allowed:
        status["reason"] = f"practice role {user.role}"
    return {**body, "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": status}
