"""What is run in a container: nothing previews it, its argv is bound, it starts once, its output is in the receipt."""

from collections.abc import Callable
from pathlib import Path

import pytest
from skyflo_mcp.kubernetes.streams import Streams

from skyflo_runbooks.gateway.view import receipt
from skyflo_runbooks.model.errors import Refused
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice.kinds import POD
from tests.gateway import requests as make
from tests.gateway.world import OPERATOR, Rendering, world
from tests.tools.podserver import MISHAPS, STDERR, STDOUT, PodServer, Talk, delivered

FAILED: Json = {
    "kind": "Status",
    "status": "Failure",
    "reason": "NonZeroExitCode",
    "message": "command terminated with exit code 3",
    "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
}


def tool() -> dict[str, Rendering]:
    """A change tool that runs what it is told in the flagship's first pod."""

    async def render(cluster: object, arguments: Json) -> object:
        return make.rendered([make.run(arguments["pod"], *arguments["command"])])

    return {"run": render}  # type: ignore[dict-item]


async def says(talk: Talk) -> None:
    """A command that prints on both channels, a password among it."""
    await talk.say(STDOUT, "database: up\nDB_PASSWORD=hunter2hunter2\n")
    await talk.say(STDERR, "warning: slow\n")
    await talk.end()


async def fails(talk: Talk) -> None:
    """A command that ends badly."""
    await talk.say(STDERR, "no such table\n")
    await talk.end(FAILED)


async def breaks(talk: Talk) -> None:
    """A connection that ends without a word."""
    await talk.say(STDOUT, "working…\n")
    await talk.connection.close()


async def test_it_is_of_high_risk_and_its_output_stands_in_the_receipt_without_secrets(tmp_path: Path) -> None:
    """The card shows the argv; the ledger holds a digest of what was printed."""
    async with PodServer(says).running() as server, world(tmp_path, tools=tool(), streams=server.streams()) as gate:
        pod = (await make.pods(gate.gateway.cluster))[0]
        row = await gate.propose("run", {"pod": pod, "command": ["check", "--all"]})
        assert server.talks == []
        assert (row.proposal.assessment.risk, "--all" in row.proposal.diff) == ("high", True)
        assert row.proposal.assessment.irreversible
        done = await gate.approve(row)
        (applied,) = receipt(done).applied
        assert (done.state, applied.message) == ("executed", "exit code 0")
        assert "database: up" in applied.output
        assert "[stderr]\nwarning: slow" in applied.output
        assert "hunter2" not in applied.output
        assert [talk.command for talk in server.talks] == [["check", "--all"]]
        entries = [entry.body for entry in gate.gateway.store.entries() if entry.kind == "applied"]
        assert str(entries[0]["applied"]["output"]).startswith("sha256:")
        with pytest.raises(Refused, match="no way back"):
            await gate.gateway.roll_back(row.proposal.id, OPERATOR)


async def test_a_command_that_ends_badly_has_failed(tmp_path: Path) -> None:
    """It ran, and that is said; its words are kept."""
    async with PodServer(fails).running() as server, world(tmp_path, tools=tool(), streams=server.streams()) as gate:
        pod = (await make.pods(gate.gateway.cluster))[0]
        done = await gate.approve(await gate.propose("run", {"pod": pod, "command": ["migrate"]}))
        assert done.state == "failed"
        assert done.attempt is not None
        assert "exit code 3" in done.attempt.message
        assert "no such table" in str(done.attempt.applied[0]["output"])


async def test_a_lost_connection_is_never_taken_up_again(tmp_path: Path) -> None:
    """Nobody can know how it ended; it fails in these words, and is not started a second time."""
    async with PodServer(breaks).running() as server, world(tmp_path, tools=tool(), streams=server.streams()) as gate:
        pod = (await make.pods(gate.gateway.cluster))[0]
        done = await gate.approve(await gate.propose("run", {"pod": pod, "command": ["migrate"]}))
        assert (done.state, len(server.talks)) == ("failed", 1)
        assert done.attempt is not None
        assert "cannot be known; it is not run again" in done.attempt.message


@pytest.mark.parametrize("mishap", sorted(MISHAPS))
async def test_a_command_that_was_delivered_is_never_said_not_to_have_been_sent(tmp_path: Path, mishap: str) -> None:
    """The stream did not come to stand, and the command may run."""
    async with (
        delivered(MISHAPS[mishap]) as (url, taken),
        world(tmp_path, tools=tool(), streams=Streams(url)) as gate,
    ):
        pod = (await make.pods(gate.gateway.cluster))[0]
        done = await gate.approve(await gate.propose("run", {"pod": pod, "command": ["migrate"]}))
        assert (done.state, len(taken)) == ("failed", 1)
        assert done.attempt is not None
        assert "cannot be known; it is not run again" in done.attempt.message


async def test_what_was_refused_before_it_stood_started_nothing(tmp_path: Path) -> None:
    """The cluster's answer is the message."""
    server = PodServer(says, refusal=(403, b'{"kind":"Status","message":"pods/exec is forbidden"}', {}))
    async with server.running(), world(tmp_path, tools=tool(), streams=server.streams()) as gate:
        pod = (await make.pods(gate.gateway.cluster))[0]
        done = await gate.approve(await gate.propose("run", {"pod": pod, "command": ["migrate"]}))
        assert (done.state, server.talks) == ("failed", [])
        assert done.attempt is not None
        assert "forbidden" in done.attempt.message


async def test_a_cluster_that_opens_no_stream_started_nothing(tmp_path: Path) -> None:
    """The proposal is void."""
    server = PodServer(says)
    async with server.running():
        streams = server.streams()
    async with world(tmp_path, tools=tool(), streams=streams) as gate:
        pod = (await make.pods(gate.gateway.cluster))[0]
        done = await gate.approve(await gate.propose("run", {"pod": pod, "command": ["migrate"]}))
        assert done.state == "void"
        assert done.attempt is not None
        assert "nothing was sent" in done.attempt.message


async def test_another_pod_of_that_name_is_not_entered(tmp_path: Path) -> None:
    """By its uid."""
    async with PodServer(says).running() as server, world(tmp_path, tools=tool(), streams=server.streams()) as gate:
        pod = (await make.pods(gate.gateway.cluster))[0]
        row = await gate.propose("run", {"pod": pod, "command": ["migrate"]})
        cluster = gate.gateway.cluster
        path = "/api/v1/namespaces/checkout/pods"
        live = await cluster.get(make.ref(pod, "Pod"))
        gone = make.delete(pod, path, "Pod")
        await cluster.send(
            gone.__class__("delete", gone.target, gone.path, {"gracePeriodSeconds": 0}),
            dry_run=False,
            field_manager="them",
        )
        again = {**live, "metadata": {"name": pod, "namespace": "checkout"}}
        again.pop("status")
        await make.put(cluster, again, path)
        done = await gate.approve(row)
        assert (done.state, server.talks) == ("void", [])


async def test_another_command_is_another_approval(tmp_path: Path) -> None:
    """The digest binds each word, and what the command is stands in it as HMAC only."""
    async with world(tmp_path, tools=tool()) as gate:
        pod = (await make.pods(gate.gateway.cluster))[0]
        one = await gate.propose("run", {"pod": pod, "command": ["rm", "-r", "/tmp/a"]}, step="one")
        two = await gate.propose("run", {"pod": pod, "command": ["rm", "-r", "/tmp/b"]}, step="two")
        bound = [row.proposal.binding.requests[0] for row in (one, two)]
        assert bound[0].body != bound[1].body
        assert all(each.body.startswith("hmac:") and not each.seen for each in bound)


@pytest.mark.parametrize("happens", ["another one", "gone"])
async def test_a_pod_that_is_exchanged_while_it_runs_is_told_of(tmp_path: Path, happens: str) -> None:
    """A stream has no precondition: another pod of that name may have answered, and that is no success."""
    meanwhile: list[Callable[[], None]] = []

    async def exchanged(talk: Talk) -> None:
        meanwhile[0]()
        await talk.say(STDOUT, "done\n")
        await talk.end()

    async with (
        PodServer(exchanged).running() as server,
        world(tmp_path, tools=tool(), streams=server.streams()) as gate,
    ):
        pod = (await make.pods(gate.gateway.cluster))[0]
        store = gate.practice.store

        def exchange() -> None:
            if happens == "gone":
                store.remove(POD, "checkout", pod)
            else:
                store.get(POD, "checkout", pod)["metadata"]["uid"] = "another-uid"

        meanwhile.append(exchange)
        done = await gate.approve(await gate.propose("run", {"pod": pod, "command": ["check"]}))
        (applied,) = receipt(done).applied
        assert (done.state, applied.failed) == ("failed", True)
        said = "another pod of that name stands there now (another-uid)" if happens == "another one" else "is gone"
        assert "exit code 0" in applied.message
        assert said in applied.message
        assert "done" in applied.output


FILE = "first line\n" + "more\n" * 40


async def prints_a_file(talk: Talk) -> None:
    """What `head -c N` does with a file."""
    assert talk.command[:2] == ["head", "-c"]
    await talk.say(STDOUT, FILE[: int(talk.command[2])])
    await talk.end()


@pytest.mark.parametrize(
    ("limit", "end"),
    [(len(FILE) - 1, f"[cut after {len(FILE) - 1} bytes: limit_bytes goes up to 1048576]"), (len(FILE), "more")],
    ids=["larger", "whole"],
)
async def test_a_file_that_is_larger_than_what_is_copied_says_so(tmp_path: Path, limit: int, end: str) -> None:
    """Half a file reads like a whole one; one that just fits is whole."""
    async with PodServer(prints_a_file).running() as server, world(tmp_path, streams=server.streams()) as gate:
        found = await gate.gateway.cluster.list("pods", "checkout", label_selector="app=storefront")
        name = found.items[0]["metadata"]["name"]
        asked: Json = {"namespace": "checkout", "name": name, "path": "/etc/motd", "limit_bytes": limit}
        (applied,) = receipt(await gate.approve(await gate.propose("k8s_cp", asked))).applied
        assert applied.output.startswith("first line")
        assert applied.output.endswith(end)
