"""Streams into a pod: bounded, opened once, and honest about what is not known."""

import json
import logging

import httpx
import pytest
from skyflo_mcp.kubernetes import Cluster, Forbidden, NotAvailable, NotFound
from skyflo_mcp.kubernetes.errors import OutcomeUnknown, ServerError, TimedOut, TooMany, Unreachable
from skyflo_mcp.kubernetes.streams import Ran, Streams

from skyflo_runbooks.model.errors import OurBug
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Request
from tests.tools.apiserver import Reply, Scripted
from tests.tools.podserver import MISHAPS, STDERR, STDOUT, Play, PodServer, Talk, delivered, echo_port, forever

POD = ObjectRef("Pod", "web-1", "shop", "v1")
PATH = "/api/v1/namespaces/shop/pods/web-1"


def command(*argv: str, **more: object) -> Request:
    """A request to run a command in web-1."""
    return Request("run", POD, f"{PATH}/exec", {"container": "web", "command": list(argv), **more})


def exchange(send: str, **more: object) -> Request:
    """A request to send a text to port 6379 of web-1."""
    return Request("run", POD, f"{PATH}/portforward", {"port": 6379, "send": send, **more})


async def ran(play: Play, request: Request) -> Ran:
    """What comes of a request on a server that plays so."""
    async with PodServer(play).running() as server, server.cluster() as cluster:
        return await cluster.run(request)


def exit_status(code: int) -> Json:
    """The Status of a command that ended with a code."""
    causes = [{"reason": "ExitCode", "message": str(code)}]
    message = f"command terminated with non-zero exit code: exit code {code}"
    return {"status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": {"causes": causes}}


async def test_a_command_answers_with_its_output_and_its_exit_code() -> None:
    """Both outputs apart, in the order in which they came."""

    async def play(talk: Talk) -> None:
        await talk.say(STDOUT, "one\n")
        await talk.say(STDERR, "careful\n")
        await talk.say(STDOUT, "two\n")
        await talk.end(exit_status(3))

    found = await ran(play, command("ls"))
    assert (found.code, found.stdout, found.stderr) == (3, "one\ntwo\n", "careful\n")
    assert (found.truncated, found.timed_out) == (False, False)
    assert "exit code 3" in found.message
    assert 0 <= found.seconds < 5


async def test_argv_goes_as_it_is() -> None:
    """No shell takes it apart; what looks like a parameter of the query is data."""
    said = ["sh", "-c", "echo $HOME & x=1?dryRun=All#", "", "a b", "é\n", "--container=other"]
    talks: list[Talk] = []

    async def play(talk: Talk) -> None:
        talks.append(talk)
        await talk.end()

    found = await ran(play, command(*said))
    assert found.code == 0
    (talk,) = talks
    assert talk.command == said
    assert talk.path == f"{PATH}/exec"
    assert [pair for pair in talk.query if pair[0] != "command"] == [
        ("container", "web"),
        ("stdout", "true"),
        ("stderr", "true"),
    ]


async def test_output_beyond_the_bound_is_dropped_and_the_command_still_ends() -> None:
    """Closing in the middle could kill what it was doing."""

    async def play(talk: Talk) -> None:
        for _ in range(50):
            await talk.say(STDOUT, "x" * 1000)
        await talk.end()

    found = await ran(play, command("yes", limit_bytes=1500))
    assert (found.stdout, found.truncated, found.code) == ("x" * 1500, True, 0)


async def test_a_command_that_does_not_end_is_left_after_its_seconds() -> None:
    """Its exit code is not known, and it is said that it may go on."""

    async def play(talk: Talk) -> None:
        await talk.say(STDOUT, "begun\n")
        await forever(talk)

    found = await ran(play, command("sleep", "1000", seconds=0.2))
    assert (found.code, found.timed_out, found.stdout) == (None, True, "begun\n")
    assert "may still run" in found.message
    assert found.seconds < 3


async def test_a_command_that_could_not_start_has_no_exit_code() -> None:
    """The runtime's words are the message."""
    status = {"status": "Failure", "reason": "InternalError", "message": 'exec: "nope": executable file not found'}
    found = await ran(lambda talk: talk.end(status), command("nope"))
    assert (found.code, found.message) == (None, 'exec: "nope": executable file not found')


async def test_a_stream_that_breaks_leaves_the_outcome_unknown() -> None:
    """It was started; nobody knows how it went."""

    async def play(talk: Talk) -> None:
        await talk.say(STDOUT, "half")
        talk.connection.transport.abort()

    with pytest.raises(OutcomeUnknown, match="it was started"):
        await ran(play, command("migrate"))


async def test_binary_output_is_not_shown() -> None:
    """Size and digest are; what redaction cannot read does not travel."""

    async def play(talk: Talk) -> None:
        await talk.say(STDOUT, b"\x7fELF\0\0")
        await talk.end()

    found = await ran(play, command("cat", "/bin/ls"))
    assert found.stdout.startswith("(binary: 6 bytes, sha256:")


async def opened(streams: Streams) -> None:
    """Run a command by these streams."""
    async with Cluster(httpx.AsyncClient(), streams=streams) as cluster:
        await cluster.run(command("migrate"))


@pytest.mark.parametrize("mishap", sorted(MISHAPS))
async def test_what_breaks_after_the_request_was_delivered_leaves_the_outcome_unknown(mishap: str) -> None:
    """The command may run, whatever came back."""
    async with delivered(MISHAPS[mishap]) as (url, taken):
        with pytest.raises(OutcomeUnknown, match="whether it was started is not known"):
            await opened(Streams(url))
    assert len(taken) == 1


async def test_silence_after_the_request_was_delivered_leaves_the_outcome_unknown() -> None:
    """Silence of a proxy that was asked for a way does not: nothing was sent yet."""
    async with delivered(None) as (url, taken):
        with pytest.raises(OutcomeUnknown, match=r"no answer within 0\.3 s"):
            await opened(Streams(url, opening=0.3))
        with pytest.raises(TimedOut, match="opens no stream"):
            await opened(Streams("http://cluster.invalid", proxy=url, opening=0.3))
    assert [one.split()[0] for one in taken] == ["GET", "CONNECT"]


@pytest.mark.parametrize(
    ("code", "said", "error"),
    [
        (500, {"message": 'Internal error occurred: failed calling webhook "a.example": refused'}, ServerError),
        (429, {"message": "slow down", "reason": "TooManyRequests"}, TooMany),
        (500, {"message": "error dialing backend"}, OutcomeUnknown),
        (429, {"message": "slow down"}, OutcomeUnknown),
    ],
)
async def test_only_the_api_servers_own_refusal_says_that_nothing_was_started(
    code: int, said: Json, error: type[Exception]
) -> None:
    """What failed behind it may have started the command."""
    server = PodServer(forever, refusal=(code, json.dumps({"kind": "Status", **said}).encode(), {}))
    async with server.running(), server.cluster() as cluster:
        with pytest.raises(error):
            await cluster.run(command("ls"))


@pytest.mark.parametrize(("status", "error"), [(403, Forbidden), (404, NotFound)])
async def test_a_refusal_before_the_stream_stands_is_the_api_servers_answer(
    status: int, error: type[Exception]
) -> None:
    """Nothing was started; the words are the server's."""
    body = json.dumps({"kind": "Status", "message": "not like this"}).encode()
    server = PodServer(forever, refusal=(status, body, {}))
    async with server.running(), server.cluster() as cluster:
        with pytest.raises(error, match=f"answered {status}: not like this"):
            await cluster.run(command("ls"))
    assert server.talks == []


async def test_a_redirect_is_not_followed() -> None:
    """Neither the command nor the credential goes elsewhere."""
    async with PodServer(forever).running() as elsewhere:
        server = PodServer(forever, refusal=(307, b"", {"Location": elsewhere.url + PATH}))
        async with server.running(), server.cluster("secret-token") as cluster:
            with pytest.raises(Exception, match="307"):
                await cluster.run(command("ls"))
    assert elsewhere.talks == []


async def test_the_credential_goes_along_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    """Not into a log, even where everything is logged."""
    caplog.set_level(logging.DEBUG)
    server = PodServer(lambda talk: talk.end())
    async with server.running(), server.cluster("secret-token") as cluster:
        await cluster.run(command("ls"))
    assert server.talks[0].headers["authorization"] == "Bearer secret-token"
    theirs = ("websockets.server",)  # the test's own server logs what it gets
    said = [(record.name, record.getMessage()) for record in caplog.records if record.name not in theirs]
    assert [pair for pair in said if "secret-token" in pair[1]] == []


@pytest.mark.parametrize("spoken", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
async def test_both_protocols_are_offered_and_the_servers_choice_is_spoken(spoken: str) -> None:
    """The newer one first."""
    server = PodServer(lambda talk: talk.end(), protocols=(spoken,))
    async with server.running(), server.cluster() as cluster:
        assert (await cluster.run(command("true"))).code == 0
    assert [one.strip() for one in ",".join(server.offered).split(",")] == ["v5.channel.k8s.io", "v4.channel.k8s.io"]


async def test_no_server_is_unreachable_and_nothing_was_started() -> None:
    """And a server that does not speak it says so."""
    async with PodServer(forever).running() as server:
        gone = server.cluster()
    async with gone:
        with pytest.raises(Unreachable, match="opens no stream"):
            await gone.run(command("ls"))


async def test_without_a_way_into_pods_there_is_none() -> None:
    """A connection in memory says so."""
    cluster: Cluster = Scripted(lambda _: Reply()).cluster()
    with pytest.raises(NotAvailable, match="no way into pods"):
        await cluster.run(command("ls"))


async def test_a_text_to_a_port_comes_back_answered() -> None:
    """One connection, what was sent and nothing else."""
    found = await ran(echo_port, exchange("ping\r\n"))
    assert (found.code, found.stdout, found.timed_out) == (None, "PING\r\n", False)
    assert found.seconds < 5


async def test_a_port_that_refuses_says_so() -> None:
    """The kubelet's words."""

    async def play(talk: Talk) -> None:
        await talk.say(1, (6379).to_bytes(2, "little"))
        await talk.say(1, "connection refused")

    found = await ran(play, exchange("ping"))
    assert (found.stdout, found.message) == ("", "connection refused")


async def test_a_port_that_stays_silent_is_left_after_its_seconds() -> None:
    """And one that says too much, at the bound."""
    found = await ran(forever, exchange("ping", seconds=0.2))
    assert (found.timed_out, found.stdout) == (True, "")
    assert "no answer within 0.2 s" in found.message
    found = await ran(echo_port, exchange("ping" * 10, limit_bytes=8))
    assert (found.stdout, found.truncated) == ("PINGPING", True)


@pytest.mark.parametrize(
    "wrong",
    [
        Request("run", POD, f"{PATH}/attach", {}),
        Request("patch", POD, f"{PATH}/exec", {}),
        Request("run", POD, f"{PATH}/exec", {"container": "web", "command": []}),
        Request("run", POD, f"{PATH}/exec", {"container": "web", "command": ["ls"], "stdin": True}),
        Request("run", POD, f"{PATH}/exec", {"container": "web", "command": ["ls"], "seconds": 86_400}),
        Request("run", POD, f"{PATH}/portforward", {"port": 0, "send": ""}),
    ],
)
async def test_what_is_no_run_in_a_pod_is_our_bug(wrong: Request) -> None:
    """A tool rendered it; nothing is opened."""
    server = PodServer(forever)
    async with server.running(), server.cluster() as cluster:
        with pytest.raises(OurBug):
            await cluster.run(wrong)
    assert server.talks == []
