"""Secrets at the edges of what is cut: an output at its limit, a log at its tail, a message at its length."""

from pathlib import Path

import httpx
import pytest

from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.view import receipt
from tests.gateway import requests as make
from tests.gateway.test_running import tool
from tests.gateway.world import KERNEL, world
from tests.tools.podserver import STDOUT, PodServer, Talk
from tests.tools.test_pem import BODY, LOG

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJvbi1jYWxsIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize("text", [JWT[:last] for last in range(12, len(JWT) + 1, 7)])
def test_a_token_that_is_cut_is_still_one(text: str) -> None:
    """Wherever the cut is."""
    assert text not in Redactor().text(f"token is {text}")


@pytest.mark.parametrize("text", ["AKIAIOSF", "ghp_16C7e4", "sk-abcdef12", "xoxb-12"])
def test_the_beginning_of_a_known_shape_at_the_end_of_a_text_is_masked(text: str) -> None:
    """There it can have been cut; within a text it is some other word."""
    assert text not in Redactor().text(f"key {text}")
    assert text not in Redactor().text(f"key {text}…")
    assert text in Redactor().text(f"the {text} of something")


def test_lines_of_a_key_without_its_beginning_are_masked() -> None:
    """And known again where they are given back."""
    redactor = Redactor()
    shown = redactor.text("\n".join(LOG[4:]))
    assert not any(line in shown for line in BODY)
    assert redactor.resolve(shown) == "\n".join(LOG[4:])


@pytest.mark.parametrize("merge", [False, True], ids=["by container", "merged"])
@pytest.mark.parametrize("tail", [3, 8])
async def test_a_tail_that_begins_in_the_midst_of_a_key(tmp_path: Path, merge: bool, tail: int) -> None:
    """In one text, and in rows of their own."""

    def front(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/log"):
            return None
        stamp = "2026-01-01T00:00:00.000000000Z " if "timestamps" in request.url.params else ""
        lines = LOG[-int(request.url.params["tailLines"]) :]
        return httpx.Response(200, text="".join(f"{stamp}{line}\n" for line in lines))

    async with world(tmp_path, front=front) as here:
        pod = (await make.pods(here.gateway.cluster))[0]
        arguments = {"namespace": "checkout", "name": pod, "tail": tail, "merge": merge}
        answer = await here.gate.read("k8s_logs", arguments, KERNEL)
        assert "key loaded" in str(answer.result)
        assert not any(line in str(answer.result) for line in BODY)


async def test_an_output_that_is_cut_within_a_secret(tmp_path: Path) -> None:
    """The receipt holds neither the beginning of a token nor a key without its end."""
    printed = "\n".join(["hello", *LOG[:4], BODY[2][:30]])

    async def says(talk: Talk) -> None:
        await talk.say(STDOUT, printed[:1014] + f"\n{JWT}")
        await talk.say(STDOUT, "x" * 2000)
        await talk.end()

    async with PodServer(says).running() as server, world(tmp_path, tools=tool(), streams=server.streams()) as here:
        pod = (await make.pods(here.gateway.cluster))[0]
        done = await here.approve(await here.propose("run", {"pod": pod, "command": ["env"]}))
        (applied,) = receipt(done).applied
        assert "hello" in applied.output
        assert applied.output.endswith("[cut after 1024 bytes: limit_bytes goes up to 1048576]")
        assert not any(line[:30] in applied.output for line in BODY)
        assert JWT[:12] not in applied.output
