"""The small parts: fields, quantities, patches, selectors, the clock, ages."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.quantity import parse_quantity
from skyflo_runbooks.practice import quantities, schema
from skyflo_runbooks.practice.clock import Clock, micro, parse, stamp
from skyflo_runbooks.practice.errors import ApiError
from skyflo_runbooks.practice.kinds import CONFIG_MAP, KINDS
from skyflo_runbooks.practice.patching import JSON_PATCH, MERGE, STRATEGIC, patched
from skyflo_runbooks.practice.selectors import by_labels, selects
from skyflo_runbooks.practice.store import Author, Store, clone
from skyflo_runbooks.practice.table import age

START = datetime(2026, 1, 1, tzinfo=UTC)
words = st.text("abcxyz", min_size=1, max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=12,
)
objects = st.dictionaries(words, values, max_size=4)


def test_the_field_table_is_that_of_the_client_library() -> None:
    """Each type behind a kind served here has exactly the fields that the `kubernetes` package declares."""
    models = pytest.importorskip("kubernetes.client.models")
    for name, listed in schema.fields().items():
        model = getattr(models, name)
        declared = {model.attribute_map[key]: _short(kind) for key, kind in model.openapi_types.items()}
        assert listed == declared, name
        for kind in listed.values():
            for inner in re.findall(r"[A-Z]\w+", kind):
                assert inner in schema.fields(), f"{name} uses {inner}"
    assert {kind.model for kind in KINDS if kind.level == "played"} <= schema.fields().keys()


def _short(kind: str) -> str:
    """Write `List[X]` as `[X]` and `Dict[str, X]` as `{X}`."""
    if match := re.fullmatch(r"List\[(.*)\]", kind):
        return f"[{_short(match[1])}]"
    if match := re.fullmatch(r"Dict\[str, (.*)\]", kind):
        return f"{{{_short(match[1])}}}"
    return kind


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("1024Mi", "1Gi"),
        ("512Mi", "512Mi"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("2000M", "2G"),
        ("0", "0"),
        ("1e3", "1k"),
        ("340000Ki", "340000Ki"),
        ("1.5Gi", "1536Mi"),
    ],
)
def test_canonical_quantities(text: str, stored: str) -> None:
    """As the API server stores them."""
    assert quantities.canonical(text) == stored


@given(st.integers(0, 10**12), st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi"]))
def test_canonical_form_keeps_the_value_and_is_stable(number: int, suffix: str) -> None:
    """Same amount, and canonical once is canonical for good."""
    stored = quantities.canonical(f"{number}{suffix}")
    assert parse_quantity(stored) == parse_quantity(f"{number}{suffix}")
    assert quantities.canonical(stored) == stored


def test_a_total_is_written_in_its_samples_family() -> None:
    """Binary for binary, decimal for decimal."""
    assert quantities.like(quantities.total(["512Mi", "512Mi"]), "4Gi") == "1Gi"
    assert quantities.like(Decimal("0.75"), "4") == "750m"


def apply(obj: Json, patch: object, content: str) -> Json:
    """Return the patched object."""
    return patched(obj, content, json.dumps(patch).encode())


@given(objects, objects)
def test_json_patch_makes_one_object_of_another(before: Json, after: Json) -> None:
    """The difference, applied, is the second; the first is left alone."""
    kept = clone(before)
    assert apply(before, jsonpatch.make_patch(before, after).patch, JSON_PATCH) == after
    assert before == kept


@given(objects, objects)
def test_merge_patch_is_idempotent(obj: Json, patch: Json) -> None:
    """Twice is once, and the original is left alone."""
    kept = clone(obj)
    once = apply(obj, patch, MERGE)
    assert apply(once, patch, MERGE) == once
    assert obj == kept


@given(st.lists(words, unique=True, max_size=4), st.lists(words, unique=True, min_size=1, max_size=4))
def test_strategic_merge_keeps_every_container(held: list[str], given_names: list[str]) -> None:
    """Items are found by name: none is doubled, none is lost, the named ones are changed."""
    obj: Json = {"containers": [{"name": name, "image": "old", "args": ["kept"]} for name in held]}
    patch: Json = {"containers": [{"name": name, "image": "new"} for name in given_names]}
    after = {item["name"]: item for item in apply(obj, patch, STRATEGIC)["containers"]}
    assert set(after) == {*held, *given_names}
    assert all(after[name]["image"] == "new" for name in given_names)
    assert all(after[name]["args"] == ["kept"] for name in held)


@pytest.mark.parametrize(
    ("patch", "left"),
    [
        ({"containers": [{"$patch": "replace"}, {"name": "z"}]}, [{"name": "z"}]),
        ({"containers": [{"name": "a", "$patch": "delete"}]}, [{"name": "b"}]),
        ({"containers": None}, None),
        ({"$setElementOrder/containers": [{"name": "b"}]}, [{"name": "a"}, {"name": "b"}]),
    ],
)
def test_strategic_directives(patch: Json, left: object) -> None:
    """replace, delete, null; an order is read past."""
    assert apply({"containers": [{"name": "a"}, {"name": "b"}]}, patch, STRATEGIC).get("containers") == left


@pytest.mark.parametrize(
    ("patch", "names"),
    [
        ({"env": [{"name": "new"}]}, ["new", "a", "b", "c"]),
        ({"env": [{"name": "b"}, {"name": "new"}]}, ["a", "b", "new", "c"]),
        ({"env": [{"name": "new"}], "$setElementOrder/env": [{"name": "c"}, {"name": "new"}]}, ["a", "b", "c", "new"]),
    ],
)
def test_strategic_merge_orders_items_as_the_server_does(patch: Json, names: list[str]) -> None:
    """Items of the patch keep its order; those the server has alone keep their place among them."""
    after = apply({"env": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}, patch, STRATEGIC)
    assert [item["name"] for item in after["env"]] == names


def test_lists_without_a_key_are_replaced() -> None:
    """args and tolerations."""
    assert apply({"args": ["a", "b"]}, {"args": ["c"]}, STRATEGIC) == {"args": ["c"]}


def test_finalizers_are_united() -> None:
    """And taken away by the directive."""
    both = apply({"finalizers": ["a"]}, {"finalizers": ["b"]}, STRATEGIC)
    assert both == {"finalizers": ["a", "b"]}
    assert apply(both, {"$deleteFromPrimitiveList/finalizers": ["a"]}, STRATEGIC) == {"finalizers": ["b"]}


def test_a_keyed_item_needs_its_key() -> None:
    """400 instead of a guess."""
    with pytest.raises(ApiError, match="does not contain declared merge key: name"):
        apply({}, {"containers": [{"image": "x"}]}, STRATEGIC)


@given(st.dictionaries(words, words, max_size=3), st.dictionaries(words, words, max_size=3))
def test_the_two_forms_of_a_selector_agree(selector: dict[str, str], labels: dict[str, str]) -> None:
    """`matchLabels` of a spec and `a=b,c=d` of a query."""
    text = ",".join(f"{key}={value}" for key, value in selector.items())
    assert by_labels(text)({"metadata": {"labels": labels}}) is selects({"matchLabels": selector}, labels)


@pytest.mark.parametrize(
    ("operator", "listed", "fits"),
    [
        ("In", ["x"], True),
        ("In", ["y"], False),
        ("NotIn", ["x"], False),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ],
)
def test_match_expressions(operator: str, listed: list[str], fits: bool) -> None:
    """The four operators."""
    item = {"key": "a", "operator": operator, "values": listed}
    assert selects({"matchExpressions": [item]}, {"a": "x"}) is fits


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (1320, "22m"),
        (3 * 3600, "3h"),
        (29 * 3600, "29h"),
        (72 * 3600, "3d"),
        (150 * 3600, "6d6h"),
    ],
)
def test_ages_as_kubectl_writes_them(seconds: int, shown: str) -> None:
    """k8s.io/apimachinery/pkg/util/duration."""
    assert age(stamp(START), START + timedelta(seconds=seconds)) == shown


def test_times_can_be_read_back() -> None:
    """Both forms."""
    moment = START + timedelta(microseconds=123456)
    assert parse(micro(moment)) == moment
    assert parse(stamp(moment)) == START


def test_a_standing_clock_stands_and_a_held_one_shows_its_moment() -> None:
    """Moved by hand only."""
    clock = Clock(START)
    assert clock.now() == clock.now() == START
    with clock.hold(START + timedelta(seconds=5)):
        assert clock.now() == START + timedelta(seconds=5)
    assert clock.now() == START + timedelta(seconds=5)


def test_a_running_clock_follows_the_machine() -> None:
    """It cannot be moved by hand, and real waits are shorter by its speed."""
    clock = Clock(START, speed=1000)
    clock.run()
    assert clock.live() >= START
    with pytest.raises(RuntimeError, match="standing clock"):
        clock.move(START)
    assert clock.real_seconds(clock.live() + timedelta(seconds=100)) <= 0.1
    clock.stop()
    assert clock.live() == clock.live()


def test_a_clock_with_a_leap_waits_for_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks it goes no further than that, however long nobody looked; and it wants to be looked at."""
    real = [100.0]
    monkeypatch.setattr("skyflo_runbooks.practice.clock.time.monotonic", lambda: real[0])
    clock = Clock(START, speed=20, leap=2)
    clock.run()
    for passed, shown in ((0.05, 1.0), (3.0, 3.0), (0.05, 4.0)):
        real[0] += passed
        assert clock.live() == START + timedelta(seconds=shown)
    assert clock.real_seconds(START + timedelta(hours=1)) == 0.05
    assert clock.real_seconds(clock.live() + timedelta(seconds=0.5)) == 0.025


@pytest.mark.parametrize(("speed", "leap"), [(0, 1), (1, 0)])
def test_a_clock_needs_a_speed(speed: float, leap: float) -> None:
    """Zero would stand for ever."""
    with pytest.raises(ValueError, match="above 0"):
        Clock(START, speed, leap)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_versions_only_grow(writes: list[tuple[str, bool]]) -> None:
    """Whatever is written and deleted, each change has a version of its own, in order."""
    store = Store(Clock(START))
    author = Author("law")
    for name, delete in writes:
        held = store.find(CONFIG_MAP, "n", name)
        if held is None:
            store.create(CONFIG_MAP, {"metadata": {"name": name, "namespace": "n"}}, author)
        elif delete:
            store.remove(CONFIG_MAP, "n", name)
        else:
            changed = clone(held)
            changed["data"] = {"v": str(store.version)}
            store.update(CONFIG_MAP, changed, author)
    versions = [change.version for change in store.history]
    assert versions == sorted(set(versions))
    assert len(versions) == len(writes)


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.dictionaries(st.sampled_from("abcd"), words, max_size=4)), max_size=6)
)
def test_each_field_has_one_owner(writes: list[tuple[str, dict[str, str]]]) -> None:
    """After any writes every key of the data belongs to exactly one manager: the last that changed it."""
    store = Store(Clock(START))
    obj = store.create(CONFIG_MAP, {"metadata": {"name": "m", "namespace": "n"}}, Author("first"))
    owner: dict[str, str] = {}
    for manager, data in writes:
        before: dict[str, str] = obj.get("data", {})
        owner = {key: owner.get(key, "") if before.get(key) == value else manager for key, value in data.items()}
        changed = clone(obj)
        changed["data"] = data
        obj = store.update(CONFIG_MAP, changed, Author(manager))
    found: dict[str, str] = {}
    for entry in obj["metadata"].get("managedFields", []):
        for key in entry["fieldsV1"].get("f:data", {}):
            if key != ".":
                assert key not in found
                found[key.removeprefix("f:")] = entry["manager"]
    assert found == owner
