"""Time never runs backwards: what expired stays expired, whatever is done to the machine's clock."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.gateway.clock import Clock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Machine:
    """A machine's two clocks: the wall, which anybody sets, and the seconds since it was started."""

    def __init__(self) -> None:
        self.wall = NOON
        self.passed = 100.0

    def clock(self, last: datetime | None = None) -> Clock:
        """Return the gateway's clock on this machine, with the record's last entry."""
        return Clock(last, wall=lambda: self.wall, passed=lambda: self.passed)

    def wait(self, seconds: float) -> None:
        """Let time pass on both."""
        self.wall += timedelta(seconds=seconds)
        self.passed += seconds


def test_it_tells_the_wall_clock() -> None:
    """While nobody sets anything."""
    machine = Machine()
    clock = machine.clock()
    machine.wait(5)
    assert clock.now() == NOON + timedelta(seconds=5)
    assert clock.behind() == 0


def test_set_back_it_goes_on() -> None:
    """A proposal that had ten minutes left has nine a minute later, not an hour and nine."""
    machine = Machine()
    clock = machine.clock()
    clock.now()
    machine.wall -= timedelta(hours=1)
    machine.wait(60)
    assert clock.now() == NOON + timedelta(seconds=60)
    assert clock.behind() == 3600


def test_set_forward_and_right_again_nothing_lives_again() -> None:
    """What expired in between was told as expired, and time goes on from there, not standing still."""
    machine = Machine()
    clock = machine.clock()
    machine.wall += timedelta(hours=2)
    told = clock.now()
    assert told == NOON + timedelta(hours=2)
    machine.wall -= timedelta(hours=2)
    machine.wait(30)
    assert clock.now() == told + timedelta(seconds=30)


def test_a_restart_forgets_nothing_of_it() -> None:
    """The record's last entry is where time goes on."""
    machine = Machine()
    machine.wall -= timedelta(days=1)
    assert machine.clock(NOON).now() == NOON


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e5)), max_size=20))
def test_it_never_runs_backwards(moves: list[tuple[float, float]]) -> None:
    """Whatever is set, however long is waited; and it runs at least as fast as time does."""
    machine = Machine()
    clock = machine.clock()
    before = clock.now()
    for set_by, waited in moves:
        machine.wall += timedelta(seconds=set_by)
        machine.wait(waited)
        now = clock.now()
        assert now - before >= timedelta(seconds=waited) - timedelta(milliseconds=1)
        before = now
