"""How a story ends: the exit code of every state in which the gateway can leave it."""

from pathlib import Path

import pytest

from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.cli.story import CardAnswer, Story
from skyflo_runbooks.model.errors import BadInput, ExitCode
from skyflo_runbooks.model.json import Json
from tests.cli.answering import answering

FINDING: Json = {
    "fault": "CON-07", "title": "OOM", "object": {"kind": "Deployment", "name": "a", "namespace": "b"},
    "confidence": 1.0, "evidence": [], "consequences": [],
}  # fmt: skip
VIEW: Json = {"id": "ap-abc123", "state": "executed", "step": "raise", "tool": "k8s_scale", "title": "t", "digest": "d"}


def judged(verdict: str) -> Json:
    """A verdict."""
    return {"verdict": verdict, "step": "ok", "changes": ["ap-abc123"], "checks": [], "finished": "now"}


def status(**said: object) -> Json:
    """Where a session stands."""
    start = {"id": "rs-1", "node": "report", "state": "done", "diagnosis": None, "plan": None, "notebook": None}
    return {**start, "proposals": [], "judgement": None, "options": [], "message": "", **said}


class Nobody:
    """Decides nothing."""

    def card(self, view: Json, status: Json) -> CardAnswer:
        """Leave every card."""
        return CardAnswer("leave")

    def option(self, options: list[str]) -> str | None:
        """Choose nothing."""
        return None


def story(url: str) -> Story:
    """A story that is told as JSON, so that its lines stay out of the way."""
    return Story(gateway=Gateway(url), session="rs-1", screen=Screen(as_json=True), decider=Nobody())


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (status(proposals=[VIEW], judgement=judged("VERIFIED")), ExitCode.DONE),
        (status(proposals=[VIEW], judgement=judged("FAILED")), ExitCode.FAILED),
        (status(state="waiting", options=["retry"], judgement=judged("INCONCLUSIVE")), ExitCode.INCONCLUSIVE),
        (status(proposals=[VIEW]), ExitCode.DONE),
        (status(proposals=[{**VIEW, "state": "rejected"}]), ExitCode.REFUSED),
        (status(proposals=[{**VIEW, "state": "expired"}]), ExitCode.REFUSED),
        (status(proposals=[{**VIEW, "state": "failed"}, VIEW]), ExitCode.FAILED),
        (status(diagnosis={"findings": [], "unknown": []}), ExitCode.NOTHING_WRONG),
        (status(diagnosis={"findings": [], "unknown": ["Pods: refused"]}), ExitCode.UNKNOWN),
        (status(diagnosis={"findings": [FINDING], "unknown": []}), ExitCode.DONE),
    ],
)
def test_the_exit_code_of_an_end(said: Json, code: ExitCode) -> None:
    """The contract of section 8."""
    with answering(200, said) as server:
        assert story(server.url).follow() == code


def test_what_ended_a_session_is_raised() -> None:
    """As the error that it was in the gateway."""
    error = {"code": 2, "message": "There is no namespace chekout.", "next_step": "checkout"}
    with answering(200, status(state="failed", error=error)) as server, pytest.raises(BadInput, match="chekout"):
        story(server.url).follow()


def test_the_document_of_the_end() -> None:
    """Session, findings, proposals and verdicts, for a program."""
    said = status(proposals=[VIEW], judgement=judged("VERIFIED"), diagnosis={"findings": [FINDING]})
    with answering(200, said) as server:
        told = story(server.url)
        document = told.document(told.follow())
    assert document["session"] == "rs-1"
    assert document["exit"] == 0
    assert document["findings"][0]["object"] == "Deployment/b/a"
    assert document["proposals"] == [{"id": "ap-abc123", "step": "raise", "state": "executed", "tool": "k8s_scale"}]
    assert [one["verdict"] for one in document["verdicts"]] == ["VERIFIED"]


def test_a_notebook_is_written_once_and_only_when_asked(tmp_path: Path) -> None:
    """The output's name is the one that was given."""
    said = status(notebook={"cells": [], "metadata": {}})
    with answering(200, said) as server:
        written = Story(
            gateway=Gateway(server.url), session="rs-1", screen=Screen(as_json=True), decider=Nobody(),
            output=tmp_path / "s.ipynb",
        )  # fmt: skip
        written.follow()
        unwritten = Story(
            gateway=Gateway(server.url), session="rs-1", screen=Screen(as_json=True), decider=Nobody(),
            write_notebook=False,
        )  # fmt: skip
        unwritten.follow()
    assert [path.name for path in tmp_path.iterdir()] == ["s.ipynb"]
    assert unwritten.path is None
