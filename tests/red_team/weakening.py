"""How the gate is weakened, so that an attack can show its teeth before it is seen to fail.

Rules:
  1. A guard is one function of the product. Weakened means: that function and nothing else is replaced by its absence.
  2. This is the only place in which a test replaces code of the product, by the one call of `patch.object` below; what
     is replaced by what stands in `weaknesses.py`, beside the attack that it lets through.
  3. An attack runs on the real gate, where it must fail, and on the gate without its guards, where it must succeed: an
     attack that does not bite there proves nothing. Where several guards stand one behind the other, it also runs on
     each gate that lacks only one of them, where it must still fail.
  4. A process of its own is weakened by `command`, through the same registry.
"""

import importlib
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

Absence = Callable[[Any], Any]


class Guard(msgspec.Struct, frozen=True):
    """One function that stops an attack: where it is (`module:Class.method`), and from it what stands in its place."""

    where: str
    absent: Absence

    def found(self) -> tuple[Any, str]:
        """Return the owner and the name of the function; an `AttributeError` where it is gone."""
        module, _, path = self.where.partition(":")
        *owners, name = path.split(".")
        owner: Any = importlib.import_module(module)
        for each in owners:
            owner = getattr(owner, each)
        getattr(owner, name)
        return owner, name


class Attack(msgspec.Struct, frozen=True):
    """One attack of the list: what it tries, and the guards that stop it, each of them enough."""

    tries: str
    guards: tuple[Guard, ...]


class Gate(msgspec.Struct, frozen=True):
    """The gate that an attack meets: the real one, or one that lacks the guards at the places `missing`."""

    attack: Attack
    missing: tuple[int, ...] = ()

    @property
    def weakened(self) -> bool:
        """Whether nothing is left that stops the attack."""
        return len(self.missing) == len(self.attack.guards)

    def bites(self, succeeded: bool, said: object = "") -> None:
        """Judge the attack by what it came to: it must succeed on the weakened gate, and fail on every other."""
        if self.weakened:
            assert succeeded, (
                f"It does not bite where nothing stops it, so it proves nothing: {self.attack.tries}. {said}"
            )
        else:
            assert not succeeded, f"THE ATTACK SUCCEEDED: {self.attack.tries}. {said}"


@contextmanager
def weakened(gate: Gate) -> Iterator[None]:
    """Take the missing guards away while the block lasts."""
    with ExitStack() as stack:
        for place in gate.missing:
            guard = gate.attack.guards[place]
            owner, name = guard.found()
            stack.enter_context(patch.object(owner, name, guard.absent(getattr(owner, name))))
        yield


def gates(attack: Attack) -> list[Gate]:
    """Return every gate that an attack meets."""
    every = tuple(range(len(attack.guards)))
    single = [(place,) for place in every] if len(every) > 1 else []
    return [Gate(attack, missing) for missing in ((), *single, every)]


def against(attack: Attack) -> pytest.MarkDecorator:
    """Run a test on each of its attack's gates; it gets the one that it is on as `gate`."""
    return pytest.mark.parametrize("gate", gates(attack), ids=_label, indirect=True)


def command(gate: Gate, module: str, arguments: Sequence[str]) -> list[str]:
    """Return what runs `python -m module` behind that gate, in a process of its own."""
    from tests.red_team.weaknesses import ATTACKS

    name = next(name for name, attack in ATTACKS.items() if attack == gate.attack)
    return [
        sys.executable,
        "-m",
        "tests.red_team.weakening",
        name,
        ",".join(map(str, gate.missing)),
        module,
        *arguments,
    ]


def _label(gate: Gate) -> str:
    if gate.weakened:
        return "weakened"
    lacks = [gate.attack.guards[place].where.rpartition(".")[2].rpartition(":")[2] for place in gate.missing]
    return "held" + "".join(f" without {name}" for name in lacks)


def main(name: str, missing: str, module: str, *arguments: str) -> None:
    """See `command`."""
    from tests.red_team.weaknesses import ATTACKS

    sys.argv = [module, *arguments]
    with weakened(Gate(ATTACKS[name], tuple(int(place) for place in missing.split(",") if place))):
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
