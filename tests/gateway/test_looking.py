"""What is said of a request that is not seen: whether it can come yet, and when nothing comes of it any more."""

import pytest

from skyflo_runbooks.gateway import looking
from skyflo_runbooks.model.digest import BoundRequest, sha256
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import APPLY_PATCH, Request
from tests.gateway import requests as make

THERE: Json = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "uid": "u", "resourceVersion": "7"},
}
ANOTHER: Json = {**THERE, "metadata": {**THERE["metadata"], "uid": "v"}}
SENT: Json = {"resource_version": "7", "applied": ""}
OLDER: Json = {"resource_version": "6", "applied": ""}
APPLY = Request("apply", make.ref(), f"{make.MAPS}/settings", make.settings(), APPLY_PATCH)


def found(request: Request, now: Json | None, before: Json, uid: str = "u") -> looking.Found:
    """Look at an object that nobody of ours has written."""
    bound = BoundRequest(request.target, uid, request.verb, sha256(None), sha256(None))
    return looking.found(request, bound, "at-1", now, before=before, as_approved=False)


@pytest.mark.parametrize(
    ("request_", "now", "before", "uid"),
    [
        (make.patch(), THERE, SENT, "u"),
        (make.patch(), THERE, {}, "u"),
        (make.delete(), THERE, SENT, "u"),
        (APPLY, THERE, SENT, "u"),
        (APPLY, None, {"resource_version": "", "applied": ""}, ""),
        (make.create(), None, {}, ""),
        (make.evict("a"), THERE, SENT, "u"),
        (make.evict("a"), THERE, OLDER, "u"),
    ],
    ids=["patch", "no version noted", "delete", "apply", "apply makes", "create", "evict", "evict, moved"],
)
def test_what_was_not_seen_can_come_yet(request_: Request, now: Json | None, before: Json, uid: str) -> None:
    """What it is bound to is as it was sent: nothing but time stands against it."""
    said = found(request_, now, before, uid)
    assert (said.event, said.pending) == ("settle_void", True)
    assert "was not applied, and the time is over" in said.message


@pytest.mark.parametrize(
    ("request_", "now", "before", "uid"),
    [
        (make.patch(), THERE, OLDER, "u"),
        (make.patch(), ANOTHER, SENT, "u"),
        (make.patch(), None, SENT, "u"),
        (make.delete(), THERE, OLDER, "u"),
        (APPLY, THERE, OLDER, "u"),
        (APPLY, None, SENT, "u"),
        (make.create(), THERE, {}, ""),
    ],
    ids=["moved", "another", "gone", "delete, moved", "apply, moved", "apply, gone", "made by others"],
)
def test_what_it_was_bound_to_is_gone_so_it_never_comes(
    request_: Request, now: Json | None, before: Json, uid: str
) -> None:
    """The server itself refuses it, whenever it comes; so nothing has to be waited for."""
    said = found(request_, now, before, uid)
    assert (said.event, said.pending) == ("settle_void", False)
    assert "it is refused whenever it comes" in said.message
