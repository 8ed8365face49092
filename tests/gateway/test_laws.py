"""Laws over ways back: whatever is changed, what leads back brings the desired state back. On the practice store."""

import copy
import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from skyflo_runbooks.gateway import diff, ways
from skyflo_runbooks.model.digest import body_state, desired_state
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import JSON_PATCH, MERGE_PATCH
from skyflo_runbooks.practice import writing
from skyflo_runbooks.practice.clock import Clock
from skyflo_runbooks.practice.kinds import CONFIG_MAP, DEPLOYMENT, NAMESPACE, SECRET, SERVICE, Kind
from skyflo_runbooks.practice.store import Author, Store

START = datetime(2026, 1, 1, tzinfo=UTC)
WE = Author("skyflo-at-1")
words = st.text("abcxyz", min_size=1, max_size=5)
maps = st.dictionaries(words, words, max_size=4)
patches = st.dictionaries(words, words | st.none(), max_size=4)


def bench() -> Store:
    """An empty cluster with one namespace."""
    store = Store(Clock(START))
    writing.create(store, NAMESPACE, "", {"metadata": {"name": "lab"}}, writing.Request(WE))
    return store


def manifest(kind: Kind, labels: dict[str, str], data: dict[str, str], number: int) -> Json:
    """An object of a kind, with these labels and, where it has some, this data."""
    made: Json = {"metadata": {"name": "one", "labels": labels, "annotations": data}}
    pod = {"containers": [{"name": "app", "image": f"app:{number}"}]}
    if kind in (CONFIG_MAP, SECRET):
        made["data"] = data
    elif kind is SERVICE:
        made["spec"] = {"selector": {"app": "one"}, "ports": [{"port": 80 + number}]}
    else:
        template = {"metadata": {"labels": {"app": "one"}}, "spec": pod}
        made["spec"] = {"replicas": number, "selector": {"matchLabels": {"app": "one"}}, "template": template}
    return made


kinds = st.sampled_from([CONFIG_MAP, SECRET, SERVICE, DEPLOYMENT])
manifests = st.builds(lambda *given: (given[0], manifest(*given)), kinds, maps, maps, st.integers(0, 5))


def wanted(obj: Json) -> Json:
    """What somebody wants of an object, whichever object of that name it is."""
    return body_state(obj, created=True, secret_key=b"k" * 32)


@given(manifests)
@settings(deadline=None)
def test_a_deletion_and_its_creation_bring_the_desired_state_back(given: tuple[Kind, Json]) -> None:
    """From the object as it was read, server fields and all."""
    kind, asked = given
    store = bench()
    made = copy.deepcopy(writing.create(store, kind, "lab", asked, writing.Request(WE)))
    made["status"] = {"anything": "that controllers report"}
    writing.delete(store, kind, "lab", "one", {}, writing.Request(WE))
    again = writing.create(store, kind, "lab", ways.anew(made), writing.Request(WE, validation="Strict"))
    assert wanted(again) == wanted(made)
    assert again["metadata"]["uid"] != made["metadata"]["uid"]


@given(manifests)
@settings(deadline=None)
def test_a_deleted_object_can_be_tried_under_another_name(given: tuple[Kind, Json]) -> None:
    """While it is still there."""
    kind, asked = given
    store = bench()
    made = writing.create(store, kind, "lab", asked, writing.Request(WE))
    other = ways.elsewhere(ways.anew(made))
    tried = writing.create(store, kind, "lab", other, writing.Request(WE, dry_run=True, validation="Strict"))
    assert tried["metadata"]["name"] != "one"
    assert store.list(kind, "lab") == [made]


@given(manifests, patches, patches, st.integers(0, 9))
@settings(deadline=None)
def test_a_patch_and_its_inverse_bring_the_desired_state_back(
    given: tuple[Kind, Json], labels: Json, data: Json, number: int
) -> None:
    """Values that are set, changed and taken out; the inverse refuses if somebody else was there since."""
    kind, asked = given
    store = bench()
    before = writing.create(store, kind, "lab", asked, writing.Request(WE))
    patch: Json = {"metadata": {"labels": labels, "annotations": data}}
    if kind is DEPLOYMENT:
        patch["spec"] = {"replicas": number}
    elif kind is not SERVICE:
        patch["data"] = data
    after = writing.patch(store, kind, before, MERGE_PATCH, json.dumps(patch).encode(), writing.Request(WE))
    undo = diff.inverse(ways.whole(before), ways.whole(after))
    back = writing.patch(store, kind, after, JSON_PATCH, json.dumps(undo).encode(), writing.Request(WE))
    key = b"k" * 32
    assert desired_state(back, secret_key=key) == desired_state(before, secret_key=key)
