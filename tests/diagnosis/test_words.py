"""The incident's words: which namespace, which object, and what is corrected."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.rules.scheduling.waiting import _COUNTED
from skyflo_runbooks.diagnosis.words import called, guesses, name_like, nearest, place, tokens
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.objects import ObjectRef
from tests.diagnosis import world
from tests.diagnosis.world import Names

KNOWN = ("checkout", "payments", "kube-system", "default")
PAYMENT = ObjectRef("Deployment", "payment-service", "checkout")
CART = ObjectRef("Deployment", "cart", "checkout")
REPORTS = ObjectRef("Deployment", "reports", "payments")
OBJECTS = (PAYMENT, CART, REPORTS)


@pytest.mark.parametrize(
    "text",
    [
        "payment-service pods are crash-looping in the checkout namespace",
        "pods crash in namespace checkout",
        "pods crash, namespace: checkout",
        "what is wrong? -n checkout",
        "ns/checkout is broken",
        "look at namespace 'checkout'",
        "pods in the checkout namespace stay Pending",
    ],
)
def test_a_namespace_is_found_in_the_words(text: str) -> None:
    """As people write it."""
    assert called(text, KNOWN) == (("checkout",), ())


def test_a_namespaces_name_among_other_words_is_a_hint() -> None:
    """It may be a page or a product as well, so it rules nothing out."""
    found = place("customers get 500 errors on checkout by default", namespaces=KNOWN)

    assert found.namespaces == ()
    assert found.hinted == ("checkout", "default")


def test_a_misspelt_namespace_is_corrected_in_words() -> None:
    """And one that resembles nothing is said not to exist."""
    assert called("pods crash in the chekout namespace", KNOWN) == (
        ("checkout",),
        ("There is no namespace 'chekout'; 'checkout' was taken.",),
    )
    assert called("pods crash in the zebra namespace", KNOWN) == ((), ("There is no namespace 'zebra'.",))


def test_the_namespace_that_was_given_counts() -> None:
    """Words do not override what came with the incident."""
    found = place("reports fail in the payments namespace", given=("checkout",), namespaces=KNOWN, objects=OBJECTS)

    assert found.namespaces == ("checkout",)
    assert found.notes == ("reports is not in checkout but in payments.",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("payment-service is down", PAYMENT),
        ("the payment service is down", PAYMENT),
        ("cart pods are pending", CART),
        ("payment pods restart", PAYMENT),
        ("payment-service-58dd9f5fbc-9g2s7 restarts", PAYMENT),
    ],
)
def test_an_object_is_found_by_its_name_or_part_of_it(text: str, expected: ObjectRef) -> None:
    """Exactly, written apart, or by a part of the name."""
    found = place(text, namespaces=KNOWN, objects=OBJECTS)

    assert found.objects == (expected,)
    assert found.notes == ()
    assert found.namespaces == (expected.namespace,)


def test_a_misspelt_name_is_corrected_in_words() -> None:
    """The nearest name is taken, and that is said."""
    found = place("paymnet-service is down", namespaces=KNOWN, objects=OBJECTS)

    assert found.objects == (PAYMENT,)
    assert found.notes == ("There is no 'paymnet-service'; 'payment-service' was taken.",)


def test_a_name_that_nothing_has_is_said_to_be_unknown() -> None:
    """With what comes nearest, where anything does."""
    notes = diagnose(world.healthy(), Incident("invoice-worker is down")).notes
    nearby = diagnose(world.healthy(), Incident("payments-serving is down")).notes

    assert notes == ("Nothing here is called 'invoice-worker'.",)
    assert nearby == ("Nothing here is called 'payments-serving'; nearest: payment-service.",)


def test_an_empty_namespace_is_said_to_be_empty() -> None:
    """Nothing wrong is not the same as something that runs."""
    found = diagnose(world.snapshot([]), Incident("is it well?", namespaces=("checkout",)))

    assert found.healthy == ()
    assert found.notes == ("There is no workload in checkout.",)


def test_a_wrong_namespace_is_corrected_in_words() -> None:
    """The object is looked at where it is."""
    found = place("payment-service fails in the payments namespace", namespaces=KNOWN, objects=OBJECTS)

    assert found.namespaces == ("checkout",)
    assert found.notes == ("payment-service is not in payments but in checkout.",)


def test_what_was_reported_is_kept_as_it_was_said() -> None:
    """Errors, time-outs and the like, in the operator's words."""
    found = place("Pods restart. Customers are getting 500 errors on checkout. Since noon.")

    assert found.reported == ("Customers are getting 500 errors on checkout",)


def test_a_namespace_chooses_among_the_findings() -> None:
    """Two namespaces fail: the one that the words name is answered for."""
    first, second = (
        world.oom_killed(Names()),
        world.oom_killed(Names(namespace="shop", workload="cart", service="cart")),
    )
    kinds = {**first.objects, **second.objects}
    both = Snapshot(
        time=world.NOW,
        objects={kind: [*first.objects.get(kind, []), *second.objects.get(kind, [])] for kind in kinds},
        elsewhere=(),
    )

    def answered(text: str) -> list[str]:
        return [str(item.object) for item in diagnose(both, Incident(text)).findings]

    assert answered("crashes in the shop namespace") == ["Deployment/shop/cart"]
    assert answered("payment-service crashes") == ["Deployment/checkout/payment-service"]
    assert len(answered("everything is slow")) == 2
    notes = diagnose(both, Incident("everything is slow")).notes
    assert any("No namespace was said, so all were read" in note for note in notes)
    nonsense = diagnose(both, Incident("asdf qwer zxcv")).notes
    assert any("None of the words name anything here" in note for note in nonsense)


def test_names_are_told_from_other_words_by_their_form() -> None:
    """A hyphen makes a name, but for the words of the trade."""
    assert name_like("payment-service is crash-looping at 10-20 requests") == ("payment-service",)


@given(st.text(max_size=200))
def test_any_text_points_somewhere_or_nowhere(text: str) -> None:
    """Whatever is typed, the look goes to things that exist."""
    found = place(text, namespaces=KNOWN, objects=OBJECTS)

    assert set(found.objects) <= set(OBJECTS)
    assert set(found.namespaces) <= set(KNOWN)
    assert all(token == token.lower() for token in tokens(text))


@given(st.sampled_from(KNOWN))
def test_a_name_is_nearest_to_itself(name: str) -> None:
    """The first of the nearest names is the name, where it exists."""
    assert nearest(name, KNOWN)[0] == name


def both() -> Snapshot:
    """Two namespaces, each with a workload that is OOM-killed."""
    parts = (world.oom_killed(Names()), world.oom_killed(Names(namespace="shop", workload="cart", service="cart")))
    kinds = {kind for part in parts for kind in part.objects}
    return Snapshot(
        time=world.NOW,
        objects={kind: [item for part in parts for item in part.objects.get(kind, [])] for kind in kinds},
        elsewhere=(),
    )


def test_without_a_namespace_the_likeliest_are_said_with_their_reasons() -> None:
    """Each namespace once, the likeliest first, with the fault, the object and how sure that is."""
    (note,) = diagnose(both(), Incident("everything is slow")).notes

    assert note.startswith("No namespace was said, so all were read. Most likely ")
    first, _, second = note.partition(", then ")
    assert "CON-07 of Deployment/" in first
    assert "CON-07 of Deployment/" in second
    assert note.count("% sure") == 2


def test_a_namespace_whose_name_stands_among_the_words_says_why() -> None:
    """It alone was read, because something is wrong in it."""
    found = world.oom_killed(Names())
    read = Snapshot(time=found.time, objects=found.objects, namespaces=("checkout",))
    (note,) = diagnose(read, Incident("customers get 500 errors at the checkout")).notes

    assert note.startswith("No namespace was said; checkout stands among the words")


@pytest.mark.parametrize(
    ("text", "faults", "supposed"),
    [
        ("it is down because DNS is broken", ("CON-07",), ("DNS",)),
        ("names are not resolved", ("NET-13",), ()),
        ("the certificate expired, or RBAC?", ("CON-07", "IMG-01"), ("certificates", "permissions")),
        ("is it a memory leak?", ("CON-07",), ()),
        ("is it a memory leak?", ("IMG-01",), ("memory",)),
        ("the image cannot be pulled", ("IMG-02",), ()),
        ("pods stay pending, CPU?", ("STO-02",), ("CPU",)),
        ("pods stay pending, CPU?", ("SCH-02",), ()),
        ("a node is full", ("SCH-09",), ()),
        ("node-exporter and image-resizer crash", ("CON-05",), ()),
        ("imagery and noded", ("CON-05",), ()),
        ("everything is broken", ("CON-05",), ()),
    ],
)
def test_a_guess_in_the_words_is_named_where_nothing_bears_it_out(
    text: str, faults: tuple[str, ...], supposed: tuple[str, ...]
) -> None:
    """Whole words only, and not those inside a name."""
    assert guesses(text, faults) == supposed


def test_a_wrong_guess_is_corrected_beside_the_cause() -> None:
    """The evidence decides; the guess is said to be none of it."""
    found = diagnose(world.oom_killed(Names()), Incident("payment-service is down because its certificate expired"))

    assert [item.fault for item in found.findings] == ["CON-07"]
    assert found.notes == ("The words speak of certificates; nothing that was found has to do with that.",)
    assert diagnose(world.healthy(), Incident("is the certificate fine?")).notes == ()


def test_a_question_about_a_healthy_thing_is_answered() -> None:
    """Something else is wrong in its namespace, and that is not taken for its own."""
    sick = world.oom_killed(Names())
    well = world.healthy(Names(workload="storefront", service="storefront"))
    kinds = set(sick.objects) | set(well.objects)
    apart = ("Node", "Namespace")
    together = Snapshot(
        time=world.NOW,
        objects={
            kind: [*sick.objects.get(kind, []), *(well.objects.get(kind, []) if kind not in apart else [])]
            for kind in kinds
        },
        namespaces=("checkout",),
    )
    notes = diagnose(together, Incident("is the storefront ok?")).notes

    assert any(
        note.startswith("What is wrong is not what was asked about. Deployment/checkout/storefront: ") for note in notes
    )
    assert not any("not what was asked" in note for note in diagnose(together, Incident("payment-service?")).notes)


def test_one_of_several_is_meant_by_its_part() -> None:
    """`invoices` is the `invoice` of invoice-worker."""
    objects = (ObjectRef("Deployment", "invoice-worker", "billing"), CART)

    assert place("the invoices are not sent", objects=objects).objects == (objects[0],)


def _processor_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


@pytest.mark.parametrize("unit", ["a-", "namespace ", "the ", "-n ", "a- namespace"])
def test_long_hostile_words_cost_no_more_than_their_length(unit: str) -> None:
    """Four times the text takes about four times as long to be read for namespaces, not sixteen times."""
    short = min(_processor_seconds(lambda: called(unit * 2_000, ("checkout",))) for _ in range(3))
    long = min(_processor_seconds(lambda: called(unit * 8_000, ("checkout",))) for _ in range(3))

    assert long < 9 * short + 0.05


def test_a_long_row_of_digits_in_a_schedulers_message_is_no_count() -> None:
    """A message is anybody's text: its digits are read once, and only as many as a count of nodes has."""
    said = "9" * 20_000
    found = _processor_seconds(lambda: [pattern.findall(said) for _, pattern in _COUNTED])

    assert found < 0.5
    assert not any(pattern.findall(f"{said} Too many pods") for _, pattern in _COUNTED)
    assert dict(_COUNTED)["places"].findall("0/3 nodes are available: 3 Too many pods.") == ["3"]


def test_a_plain_word_that_reads_nearly_like_a_name_is_asked_about() -> None:
    """Too far from it to be taken for it, near enough to ask; a word of English is no name."""
    snapshot = world.healthy(Names(workload="storefront", service="storefront"))

    asked = diagnose(snapshot, Incident("why is shopfront restarting", ("checkout",))).notes
    plain = diagnose(snapshot, Incident("why is everything restarting here", ("checkout",))).notes

    assert "Nothing here is called 'shopfront'; nearest: storefront." in asked
    assert not any("Nothing here is called" in note for note in plain)


def test_a_namespace_that_is_not_there_is_answered_with_where_it_is() -> None:
    """The name is right, the namespace is nobody's: where it was found is said."""
    where = place("payment-service fails in the billing namespace", namespaces=KNOWN, objects=OBJECTS)

    assert where.notes == ("There is no namespace 'billing'.", "payment-service is in checkout.")
    assert where.namespaces == ("checkout",)
