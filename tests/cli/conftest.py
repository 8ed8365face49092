"""What the tests of the command line stand on: a terminal with a home of its own, and a real gateway to talk to."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skyflo_runbooks.cli import operator
from skyflo_runbooks.cli.app import main
from skyflo_runbooks.cli.bench import Bench

TEXT = "payment-service pods are crash-looping in the checkout namespace. Customers are getting 500 errors on checkout."


@dataclass(frozen=True)
class Said:
    """What one command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on standard output."""
        return json.loads(self.out)


class Terminal:
    """Runs commands in this process, with a home and a folder that belong to the test."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.folder = folder
        self.home = folder / "home"
        for name in ("SKYFLO_GATEWAY_URL", "SKYFLO_KERNEL_TOKEN", "SKYFLO_MODEL", "SKYFLO_DEBUG", "KUBECONFIG"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("SKYFLO_HOME", str(self.home))
        monkeypatch.chdir(folder)

    def __call__(self, *arguments: str) -> Said:
        """Run one command."""
        self._capsys.readouterr()
        code = main(list(arguments))
        out, err = self._capsys.readouterr()
        return Said(code, out, err)

    def at(self, bench: Bench, *, log_in: bool = False) -> "Terminal":
        """Talk to this gateway from now on, as its kernel or as its operator."""
        self._monkeypatch.setenv("SKYFLO_GATEWAY_URL", bench.kernel.url)
        self._monkeypatch.setenv("SKYFLO_KERNEL_TOKEN", bench.kernel.token)
        if log_in:
            operator.save(bench.operator, self.home / "operator.json")
        return self

    def setenv(self, name: str, value: str) -> None:
        """Set a variable of the environment."""
        self._monkeypatch.setenv(name, value)


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    """A terminal without a gateway."""
    return Terminal(capsys, monkeypatch, tmp_path)


@pytest.fixture(scope="session")
def flagship(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The flagship with its gateway, for tests that leave the cluster as it is."""
    with Bench(tmp_path_factory.mktemp("flagship")) as bench:
        yield bench


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Another one, for tests that change the cluster; none of them relies on what it finds there."""
    with Bench(tmp_path_factory.mktemp("workshop")) as bench:
        yield bench
