"""What people say to `new`, end to end: wrong namespaces, misspelt names, wrong guesses, and what is well.

Two namespaces of one practice cluster: payment-service is OOM-killed in checkout, where the storefront is well, and
invoice-worker in billing has an image that does not exist.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from skyflo_runbooks.cli.bench import Bench
from tests.cli.conftest import Terminal

PAYMENT = ("CON-07", "Deployment/checkout/payment-service")
INVOICES = ("IMG-01", "Deployment/billing/invoice-worker")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The two namespaces, with a gateway."""
    with Bench(tmp_path_factory.mktemp("town"), str(Path(__file__).with_name("words.yaml"))) as bench:
        yield bench


@pytest.mark.parametrize(
    ("words", "first", "said"),
    [
        (
            ("paymnt-service crashes in the chekout namespace",),
            PAYMENT,
            ("There is no namespace 'chekout'; 'checkout' was taken.", "'payment-service' was taken."),
        ),
        (
            ("payment-service crashes in the billing namespace",),
            PAYMENT,
            ("payment-service is not in billing but in checkout.",),
        ),
        (
            ("payment-service crashes", "-n", "billing"),
            INVOICES,
            ("payment-service is not in billing but in checkout.", "-n checkout looks there."),
        ),
        (
            ("payment-service is down because its certificate expired",),
            PAYMENT,
            ("The words speak of certificates; nothing that was found has to do with that.",),
        ),
        (
            ("is the storefront ok?", "-n", "checkout"),
            PAYMENT,
            ("What is wrong is not what was asked about. Deployment/checkout/storefront: 2 of 2 replicas",),
        ),
        (("the invoices are not sent",), INVOICES, ()),
        (
            ("something is wrong",),
            PAYMENT,
            ("Most likely checkout (CON-07 of ", ", then billing (IMG-01 of "),
        ),
        (("customers get errors at the checkout",), PAYMENT, ("checkout stands among the words",)),
        (("mail-relay is down", "-n", "checkout"), PAYMENT, ("Nothing here is called 'mail-relay'.",)),
    ],
)
def test_words_are_corrected(
    terminal: Terminal, town: Bench, words: tuple[str, ...], first: tuple[str, str], said: tuple[str, ...]
) -> None:
    """The cause by the evidence, and in words what was taken for what."""
    found = terminal.at(town)("new", *words)
    assert found.code == 0
    head = next(line for line in found.out.splitlines() if first[1] in line and "Note:" not in line)
    assert first[0] in head or first[0] in found.out.split("Note:")[0]
    notes = " ".join(line for line in found.out.splitlines() if line.startswith("Note: "))
    for part in said:
        assert part in notes


def test_a_place_that_is_well_says_where_the_named_thing_is(terminal: Terminal, town: Bench) -> None:
    """Exit 3, with where to look instead; not a bare "nothing is wrong"."""
    found = terminal.at(town)("new", "payment-service crashes", "-n", "default")
    assert found.code == 3
    assert "-n checkout looks there" in found.out


def test_a_namespace_that_is_none_is_bad_input(terminal: Terminal, town: Bench) -> None:
    """Given with -n it is not corrected behind one's back."""
    found = terminal.at(town)("new", "pods crash", "-n", "chekout")
    assert (found.code, "checkout" in found.err) == (2, True)
