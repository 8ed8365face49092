"""What is said of a request that is not seen: not applied by then, and what becomes of it if it comes yet."""

import pytest

from skyflo_runbooks.gateway import looking
from skyflo_runbooks.model.digest import BoundRequest, sha256
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import Request
from tests.gateway import requests as make

POD: Json = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "checkout", "uid": "u"}}
THERE: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "uid": "u"}}


def found(request: Request, now: Json | None) -> looking.Found:
    """Look at an object that nobody of ours has written."""
    bound = BoundRequest(request.target, "u", request.verb, sha256(None), sha256(None))
    return looking.found(request, bound, "at-1", now, before={}, as_approved=False)


@pytest.mark.parametrize(
    ("request_", "now", "late"),
    [
        (make.patch(), THERE, "it is refused as soon as the object has moved"),
        (make.delete(), THERE, "it is refused as soon as the object has moved"),
        (make.create(), None, "it can be made yet"),
        (make.evict("a"), POD, "it can be made yet"),
    ],
)
def test_what_was_not_seen_can_come_yet(request_: Request, now: Json | None, late: str) -> None:
    """A precondition stops what is bound to a version; nothing stops the others."""
    said = found(request_, now)
    assert said.event == "settle_void"
    assert "it was not applied when this was looked for" in said.message
    assert late in said.message
    assert "Look again before" in said.message
