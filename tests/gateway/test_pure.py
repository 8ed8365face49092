"""The pure parts of the gate: diff and inverse, redaction, risk, ledger chain. Laws by hypothesis."""

import copy
import sqlite3
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyflo_mcp.kubernetes import TOOLS, checked

from skyflo_runbooks.gateway import diff, ledger, owned, risk, verifier
from skyflo_runbooks.gateway.database import SqliteDatabase
from skyflo_runbooks.gateway.ledger import LedgerBroken
from skyflo_runbooks.gateway.migrations import MIGRATIONS
from skyflo_runbooks.gateway.redaction import MARK, Redactor, says_secret
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.proposal import Impact
from skyflo_runbooks.model.request import Request, Verb

keys = st.text("abcde/~", min_size=1, max_size=4)
leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.text("xyz", max_size=3)
values = st.recursive(leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=3), max_leaves=12)
objects = st.dictionaries(keys, values, max_size=4)
REF = ObjectRef("ConfigMap", "settings", "shop")


@given(objects, objects)
def test_the_inverse_leads_back(before: Json, after: Json) -> None:
    """There and back again is where we were."""
    undone = jsonpatch.apply_patch(copy.deepcopy(after), diff.inverse(before, after))
    assert undone == before


@given(objects, objects)
def test_the_inverse_refuses_what_somebody_changed_since(before: Json, after: Json) -> None:
    """Each value it would replace or remove is tested first."""
    undo = diff.inverse(before, after)
    replaced = [op for op in undo if op["op"] in ("replace", "remove")]
    assert sum(op["op"] == "test" for op in undo) >= len(replaced)
    if replaced and replaced[0]["path"] and undo[0]["op"] == "test":
        other = copy.deepcopy(undo[0])
        other["value"] = {"somebody": "else"}
        with pytest.raises(jsonpatch.JsonPatchTestFailed):
            jsonpatch.apply_patch(copy.deepcopy(after), [other])


@given(objects)
def test_equal_objects_have_no_diff(tree: Json) -> None:
    """Nothing to see is nothing to decide."""
    assert diff.unified(REF, tree, copy.deepcopy(tree)) == ""


def test_a_diff_names_the_place_and_hides_secrets() -> None:
    """The heading leads to the container; a Secret's values are never in it."""
    before: Json = {"spec": {"containers": [{"name": "app", "image": "a:1"}]}}
    after: Json = {"spec": {"containers": [{"name": "app", "image": "a:2"}]}}
    assert diff.unified(REF, before, after).splitlines()[0] == "@@ ConfigMap shop/settings · spec.containers[app]"
    secret: Json = {"kind": "Secret", "data": {"a": "b2xk", "b": "c2FtZQ=="}}
    shown = diff.unified(REF, secret, {**secret, "data": {"a": "bmV3", "b": "c2FtZQ=="}})
    assert "(changed)" in shown
    assert not any(value in shown for value in ("b2xk", "bmV3", "c2FtZQ=="))


secrets = st.text("abcdefghijkmnpqrstuvwxyz0123456789", min_size=12, max_size=30)


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_what_a_tool_says_of_itself_is_no_secret(name: str) -> None:
    """Two of them are named like one, and a colon after that would hide the next word of the message."""
    with pytest.raises(BadInput) as caught:
        checked(name, {"nothing_like_it": 1})
    assert Redactor().error(caught.value.message) == caught.value.message
    assert name in caught.value.message


def holding(name: str, password: str) -> Json:
    """A Deployment that writes its password down."""
    env = [{"name": "DB_PASSWORD", "value": password}]
    spec = {"template": {"spec": {"containers": [{"name": "app", "env": env, "args": [f"--password={password}"]}]}}}
    return {"kind": "Deployment", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def marks(value: Any) -> set[str]:
    """Return the marks in anything."""
    return set(MARK.findall(str(value)))


def test_a_mark_does_not_tell_that_two_objects_have_the_same_secret() -> None:
    """In an object it stays the same, whenever that is read; in another one it is another, and both come back."""
    redactor = Redactor()
    one, two = (redactor.mask(holding(name, "hunter2-hunter2")) for name in ("web", "cart"))
    again = redactor.mask({"items": [holding("web", "hunter2-hunter2")]})
    assert marks(one) == marks(again)
    assert marks(one)
    assert not marks(one) & marks(two)
    assert redactor.resolve(one) == holding("web", "hunter2-hunter2")
    assert redactor.resolve(two) == holding("cart", "hunter2-hunter2")


def test_nor_does_an_object_that_somebody_writes_to_compare_with() -> None:
    """One that holds a guess under the other's name, inside of itself."""
    redactor = Redactor()
    true = redactor.mask(holding("web", "hunter2-hunter2"))
    bait = {"kind": "Note", "metadata": {"name": "bait"}, "spec": holding("web", "hunter2-hunter2")}
    assert not marks(true) & marks(redactor.mask(bait))


@pytest.mark.parametrize("about", ["object", "pod"])
def test_nor_do_two_answers_about_objects(about: str) -> None:
    """What a read says of a container's variables, or its log."""
    redactor = Redactor()
    one, two = (redactor.mask({about: name, "text": "password=hunter2-hunter2"}) for name in ("web", "cart"))
    assert not marks(one) & marks(two)


def test_what_is_quoted_of_a_value_has_the_mark_of_no_object() -> None:
    """An error that quotes it, and the value itself once it was given back, name none of those that have it."""
    redactor = Redactor()
    held = redactor.mask(holding("web", "hunter2-hunter2"))
    quoted = redactor.error("cannot use 'hunter2-hunter2'")
    assert redactor.resolve(held)
    assert "hunter2" not in quoted
    assert not marks(quoted) & marks(held)
    assert marks(redactor.text("it said hunter2-hunter2")) == marks(quoted)
    assert redactor.resolve(quoted) == "cannot use 'hunter2-hunter2'"


def test_what_is_masked_in_many_places_is_not_forgotten_at_once() -> None:
    """The oldest marks go first, and a value that is still masked stays known."""
    redactor = Redactor(capacity=10)
    kept = [redactor.mask(holding(f"web-{number}", "hunter2-hunter2")) for number in range(30)]
    assert redactor.resolve(kept[-1]) == holding("web-29", "hunter2-hunter2")
    assert "hunter2" not in redactor.error("hunter2-hunter2")


@pytest.mark.parametrize("said", ["(masked)", "(changed)", "(28 bytes)"])
def test_our_own_word_for_a_value_is_no_value(said: str) -> None:
    """A reference to it would resolve to the word. The two that stand in a diff are seen in a text as well."""
    assert Redactor().mask({"password": said}) == {"password": said}
    if " " not in said:
        assert Redactor().text(f"+  api-key: {said}") == f"+  api-key: {said}"


@given(secrets, st.sampled_from(["DB_PASSWORD", "apiToken", "aws_secret_key", "password", "client-secret", "API_KEY"]))
def test_a_secret_is_masked_wherever_it_stands(secret: str, name: str) -> None:
    """In an environment entry, in a mapping, in a log line, in a URL; and it comes back inside the gateway only."""
    redactor = Redactor()
    shapes: list[Any] = [
        {"name": name, "value": secret},
        {"config": {name: secret}},
        [f"{name}={secret} retrying"],
        f'{{"{name}": "{secret}"}}',
        f"postgres://user:{secret}@db/shop",
        f"Authorization: Bearer {secret}",
        {"kind": "Secret", "metadata": {"name": "x"}, "data": {"anything": secret}},
    ]
    for shape in shapes:
        masked = redactor.mask(shape)
        assert secret not in str(masked), shape
        assert MARK.search(str(masked))
        assert redactor.resolve(masked) == shape


@given(st.text("abc xyz.,:-/0123456789", max_size=60))
def test_plain_text_is_left_alone(text: str) -> None:
    """Nothing is masked that says no secret."""
    assert Redactor().mask({"message": text, "name": "payment-service"}) == {"message": text, "name": "payment-service"}


def test_references_to_secrets_are_no_secrets() -> None:
    """The name of a Secret, of a key in it, and a setting about tokens stay readable."""
    plain: Json = {
        "env": [{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
        "automountServiceAccountToken": False,
        "volumes": [{"secret": {"secretName": "tls"}}],
        "set": {"DB_PASSWORD": {"secret": "db", "key": "password"}},
    }
    assert Redactor().mask(plain) == plain
    assert says_secret("DB_PASSWORD")
    assert not says_secret("secretName")


def test_a_mark_of_another_process_is_not_resolved() -> None:
    """The next step is to read again."""
    mark = Redactor().reference("hunter2hunter2")
    with pytest.raises(BadInput, match="Run the read step again"):
        Redactor().resolve({"value": mark})


def chain(*bodies: Json) -> SqliteDatabase:
    """A ledger with these entries, in memory."""
    database = SqliteDatabase()
    database.migrate(MIGRATIONS)
    for body in bodies:
        with database.transaction() as db:
            ledger.append(db, at="2026-01-01T00:00:00Z", kind="note", body=body)
    return database


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2), min_size=1, max_size=6), st.data())
def test_a_changed_entry_is_found(bodies: list[Json], data: st.DataObject) -> None:
    """The whole chain verifies; with one body changed the first broken entry is named."""
    entries = list(ledger.entries(chain(*bodies)))
    assert ledger.verify(iter(entries)) == len(bodies)
    place = data.draw(st.integers(0, len(entries) - 1))
    forged = [*entries]
    old = forged[place]
    forged[place] = ledger.Entry(old.seq, old.at, old.kind, {**old.body, "forged": True}, old.prev, old.hash)
    with pytest.raises(LedgerBroken, match=f"entry {place + 1} is broken"):
        ledger.verify(iter(forged))


def test_a_missing_entry_is_found() -> None:
    """Taking one out breaks the chain at its place."""
    entries = list(ledger.entries(chain({"n": 1}, {"n": 2}, {"n": 3})))
    with pytest.raises(LedgerBroken, match="entry 2"):
        ledger.verify(iter([entries[0], entries[2]]))


@pytest.mark.parametrize("statement", ["UPDATE entries SET kind = 'x'", "DELETE FROM entries"])
def test_the_database_refuses_to_change_the_record(statement: str) -> None:
    """Also to ourselves."""
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), chain({"n": 1}).transaction() as db:
        db.execute(statement)


def workload(**spec: Any) -> Json:
    """A Deployment of three pods."""
    base: Json = {"replicas": 3, "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": []}}}
    return {"kind": "Deployment", "metadata": {"name": "a"}, "spec": {**base, **spec}, "status": {"readyReplicas": 3}}


def patch(kind: str = "Deployment", namespace: str = "shop") -> Request:
    """A patch of an object."""
    return Request("patch", ObjectRef(kind, "a", namespace), "/", [])


@pytest.mark.parametrize(
    ("request_", "before", "after", "expected"),
    [
        (patch(), workload(), workload(paused=True), "low"),
        (patch(namespace="kube-system"), workload(), workload(), "high"),
        (patch("Node", ""), {}, {}, "high"),
        (patch("Service"), {}, {"x": 1}, "medium"),
    ],
)
def test_risk_has_reasons(request_: Request, before: Json, after: Json, expected: str) -> None:
    """The highest rule stands, and it is said."""
    level, reasons = risk.assess((request_,), before=(before,), after=(after,), impacts=(Impact(),), irreversible="")
    assert level == expected
    assert reasons


def claim(storage: str) -> Json:
    """A claim of that size."""
    return {"kind": "PersistentVolumeClaim", "spec": {"resources": {"requests": {"storage": storage}}}}


def about(kind: str, verb: Verb = "patch", sub: str = "") -> Request:
    """A request about an object of that kind."""
    return Request(verb, ObjectRef(kind, "x", "shop"), f"/api/v1/namespaces/shop/things/x{sub}", {})


def test_a_claim_that_grows_has_no_way_back() -> None:
    """It cannot shrink; a change that leaves its size alone, and other kinds, are as reversible as any."""
    request = about("PersistentVolumeClaim")
    assert "cannot shrink from 2Gi to 1Gi" in risk.one_way(request, claim("1Gi"), claim("2Gi"))
    assert risk.one_way(request, claim("1Gi"), claim("1024Mi")) == ""
    assert risk.one_way(about("Deployment"), workload(), workload(replicas=9)) == ""
    assert risk.one_way(request, None, claim("1Gi")) == ""


@pytest.mark.parametrize(
    ("kind", "metadata", "spec", "left", "said"),
    [
        ("Pod", {}, {"schedulingGates": [{"name": "a/x"}]}, {"spec": {}}, "scheduling gate a/x cannot be put back"),
        ("Deployment", {}, {"schedulingGates": [{"name": "a/x"}]}, {"spec": {}}, ""),
        ("Widget", {"finalizers": ["a/x", "b/y"], "deletionTimestamp": "2026-01-01T00:00:00Z"}, {},
         {"metadata": {"finalizers": ["b/y"]}}, "finalizer a/x cannot be put back"),
        ("Widget", {"finalizers": ["a/x"]}, {}, {"metadata": {}}, ""),
    ],
)  # fmt: skip
def test_what_held_an_object_back_is_not_put_back(kind: str, metadata: Json, spec: Json, left: Json, said: str) -> None:
    """The server refuses that; where nothing was begun yet it does not."""
    found = risk.one_way(about(kind), {"kind": kind, "metadata": metadata, "spec": spec}, {"kind": kind, **left})
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("request_", "before", "said"),
    [
        (about("PersistentVolumeClaim", "delete"), {}, "does not have the data of PersistentVolumeClaim"),
        (about("PersistentVolume", "delete"), {}, "does not have the data of PersistentVolume"),
        (about("Namespace", "delete"), {}, "everything in it is gone"),
        (about("CustomResourceDefinition", "delete"), {}, "every object of that kind is gone"),
        (
            about("StatefulSet", "delete"),
            {"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}},
            "the data of its claims is gone",
        ),
        (about("StatefulSet", "delete"), {}, ""),
        (about("Deployment", "delete"), {}, ""),
        (about("Pod", "run", "/exec"), {}, "cannot be taken back"),
        (about("Pod", "evict", "/eviction"), {}, "no controller makes"),
        (about("Pod", "evict", "/eviction"), {"metadata": {"ownerReferences": [{"controller": True}]}}, ""),
        (about("Pod", "patch", "/ephemeralcontainers"), {}, "as long as the pod lives"),
    ],
)
def test_what_cannot_be_taken_back_says_why(request_: Request, before: Json, said: str) -> None:
    """Data that no manifest holds, what was run, and what the server does not undo."""
    found = risk.one_way(request_, before, None)
    assert said in found
    assert bool(said) == bool(found)


@pytest.mark.parametrize(
    ("left", "live", "disturbed"),
    [
        ({"desired_state": "a"}, {"metadata": {"uid": "1"}}, False),
        ({"desired_state": "b"}, {"metadata": {"uid": "1"}}, True),
        ({}, {"metadata": {"uid": "1"}}, False),
        ({"gone": "1"}, None, False),
        ({"gone": "1"}, {"metadata": {"uid": "1", "deletionTimestamp": "now"}}, False),
        ({"gone": "1"}, {"metadata": {"uid": "2"}}, True),
        ({"gone": "1"}, {"metadata": {"uid": "2", "ownerReferences": [{"controller": True}]}}, False),
    ],
    ids=["as left", "changed", "ran in it", "gone", "going", "made anew", "made anew by its controller"],
)
def test_who_was_there_in_the_window(left: Json, live: Json | None, disturbed: bool) -> None:
    """What a deletion took may still be going, and a controller may make it again."""
    assert verifier.disturbed(left, live, "a") == disturbed


def test_what_is_irreversible_is_of_high_risk() -> None:
    """And says so in words."""
    level, reasons = risk.assess(
        (patch(),), before=({},), after=({},), impacts=(Impact(),), irreversible="a claim cannot shrink"
    )
    assert (level, reasons[0]) == ("high", "irreversible: a claim cannot shrink")


@pytest.mark.parametrize(
    ("path", "touches"),
    [("/spec/replicas", True), ("/spec", True), ("", True), ("/spec/template", False), ("/spec/replicasets", False)],
)
def test_a_patch_above_replicas_touches_them(path: str, touches: bool) -> None:
    """What replaces the whole of `/spec` says how many pods there are, also under an autoscaler."""
    assert owned.meets("/spec/replicas", path) is touches
