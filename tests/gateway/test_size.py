"""What is asked about one proposal costs the same however long the record is."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from skyflo_runbooks.gateway.database import SqliteDatabase
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model.proposal import ProposalId
from tests.gateway.test_policy import proposal

SHORT, LONG = 30, 600
QUESTIONS: dict[str, Callable[[Store], object]] = {
    "one proposal": lambda store: store.get("ap-000007"),
    "those of one key": lambda store: store.find(same_key="key-7"),
    "those in a state, with all that is told of them": lambda store: store.find(states=frozenset({"proposed"})),
    "what the ledger tells of one": lambda store: store.told(ProposalId("ap-000007")),
    "which are open": lambda store: store.ids("proposed", "approved"),
    "which are overdue": lambda store: store.overdue(),
    "which wait to be dispatched": lambda store: store.waiting(),
}


def record(folder: Path, length: int) -> Store:
    """Return a record of so many proposals, three of which are open, and five entries about each."""
    database = SqliteDatabase()
    store = Store(folder, database)
    for number in range(length):
        made = msgspec.structs.replace(proposal(), id=ProposalId(f"ap-{number:06}"), created=f"2026-07-01T{number:06}")
        store.add(made, same_key=f"key-{number}", state="proposed" if number < 3 else "in_place")
        for _ in range(4):
            store.record("note", {"proposal": made.id})
    return store


def steps(store: Store, question: Callable[[Store], object]) -> int:
    """Return how many steps SQLite's machine takes to answer a question."""
    taken = [0]

    def step() -> int:
        taken[0] += 1
        return 0

    assert isinstance(store.database, SqliteDatabase)
    store.database.connection.set_progress_handler(step, 1)
    question(store)
    store.database.connection.set_progress_handler(None, 1)
    return taken[0]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    """A short record and one twenty times as long."""
    short, long = (record(tmp_path_factory.mktemp("record"), length) for length in (SHORT, LONG))
    yield short, long
    short.close()
    long.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_longer_record_is_not_a_longer_way(records: tuple[Store, Store], question: str) -> None:
    """No index that is there is passed by: the steps are nearly the same."""
    short, long = (steps(store, QUESTIONS[question]) for store in records)
    assert long <= 1.2 * short + 50, f"{question}: {short} steps in a short record, {long} in a long one"
