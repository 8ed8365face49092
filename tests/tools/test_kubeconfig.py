"""Opening a cluster from a kubeconfig: what works, and what each broken one says."""

import asyncio
import socket
import stat
from pathlib import Path

import httpx
import pytest
import yaml
from skyflo_mcp.kubernetes import Cluster, Forbidden, Unauthorized
from skyflo_mcp.kubernetes.credentials import Bearer
from skyflo_mcp.kubernetes.transport import socket_options

from skyflo_runbooks.model.errors import BadInput, ExitCode, NotAllowed, Unreachable
from skyflo_runbooks.model.json import Json
from tests.control_plane.harness import ControlPlane
from tests.tools.apiserver import Asked, Reply, Scripted, status

TOKEN = "a-token-that-nobody-may-see"


def kubeconfig(folder: Path, *, user: Json, cluster: Json | None = None) -> str:
    """A kubeconfig with one context, `here`."""
    path = folder / "config"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": cluster or {"server": "http://127.0.0.1:9"}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "here",
            }
        )
    )
    return str(path)


def plugin(folder: Path, script: str) -> Json:
    """A user whose credential a program gives."""
    program = folder / "plugin"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"}
    }


def credential(token: str) -> str:
    """What a credential plug-in prints."""
    return (
        'echo \'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", '
        f'"status": {{"token": "{token}"}}}}\''
    )


async def header_of(path: str) -> str | None:
    """The Authorization header that a kubeconfig's cluster sends."""
    server = Scripted(lambda _: Reply(body={}))
    async with Cluster.from_kubeconfig(path) as cluster:
        auth = cluster._transport.client.auth  # the one thing under test
        assert auth is not None
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(server), base_url="http://scripted", auth=auth
        ) as client:
            await client.get("/version")
    return server.asked[0].headers.get("authorization")


async def test_a_token_is_sent_as_a_bearer(tmp_path: Path) -> None:
    """From the file itself."""
    assert await header_of(kubeconfig(tmp_path, user={"token": TOKEN})) == f"Bearer {TOKEN}"


async def test_a_token_file_is_looked_for_beside_the_kubeconfig(tmp_path: Path) -> None:
    """A relative path belongs to the file that names it."""
    (tmp_path / "token").write_text(TOKEN)
    assert await header_of(kubeconfig(tmp_path, user={"tokenFile": "token"})) == f"Bearer {TOKEN}"


async def test_a_plug_in_gives_the_token(tmp_path: Path) -> None:
    """As cloud providers do it."""
    assert await header_of(kubeconfig(tmp_path, user=plugin(tmp_path, credential(TOKEN)))) == f"Bearer {TOKEN}"


async def test_without_a_user_nobody_is_claimed(tmp_path: Path) -> None:
    """The cluster then says 401 or 403 by itself."""
    assert await header_of(kubeconfig(tmp_path, user={})) is None


def test_the_context_is_named(tmp_path: Path) -> None:
    """The current one, or the one asked for."""
    assert Cluster.from_kubeconfig(kubeconfig(tmp_path, user={})).context == "here"
    assert Cluster.from_kubeconfig(kubeconfig(tmp_path, user={}), "here").server == "http://127.0.0.1:9"


def test_a_missing_file_says_where_it_looked(tmp_path: Path) -> None:
    """And what to do instead."""
    with pytest.raises(BadInput, match="no kubeconfig at") as caught:
        Cluster.from_kubeconfig(str(tmp_path / "nope"))
    assert "nope" in caught.value.message
    assert "--kubeconfig" in caught.value.next_step


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """KUBECONFIG, as kubectl has it, read when it is needed."""
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, user={"token": TOKEN}))
    assert Cluster.from_kubeconfig().context == "here"
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nope"))
    with pytest.raises(BadInput, match="nope"):
        Cluster.from_kubeconfig()


@pytest.mark.parametrize("text", ["", "{", "a: [1", "just text", "- 1\n- 2\n", "apiVersion: v1\nkind: Config\n"])
def test_a_file_that_is_no_kubeconfig_is_bad_input(tmp_path: Path, text: str) -> None:
    """In words, without a traceback."""
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(BadInput, match="kubeconfig"):
        Cluster.from_kubeconfig(str(path))


def test_an_unknown_context_is_named(tmp_path: Path) -> None:
    """With the way to see those that there are."""
    with pytest.raises(BadInput, match="nowhere") as caught:
        Cluster.from_kubeconfig(kubeconfig(tmp_path, user={}), "nowhere")
    assert "get-contexts" in caught.value.next_step


def test_a_server_that_is_no_address_is_bad_input(tmp_path: Path) -> None:
    """It is caught before anything is sent anywhere."""
    with pytest.raises(BadInput, match="address"):
        Cluster.from_kubeconfig(kubeconfig(tmp_path, user={}, cluster={"server": "ftp://there"}))


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo 'your session expired' >&2; exit 1", "session expired"), ("echo nonsense", ""), ("exit 3", "")],
)
def test_a_plug_in_that_fails_is_not_taken_for_nobody(tmp_path: Path, script: str, said: str) -> None:
    """The library would only log it and go on without a credential."""
    with pytest.raises(NotAllowed, match="plugin") as caught:
        Cluster.from_kubeconfig(kubeconfig(tmp_path, user=plugin(tmp_path, script)))
    assert said in caught.value.message
    assert caught.value.exit_code == ExitCode.NOT_ALLOWED
    assert "log in" in caught.value.next_step


def test_a_plug_in_that_is_missing_is_named(tmp_path: Path) -> None:
    """The command is what a person has to install."""
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-login-helper"}}
    with pytest.raises(NotAllowed, match="no-such-login-helper"):
        Cluster.from_kubeconfig(kubeconfig(tmp_path, user=user))


def test_a_broken_client_certificate_says_so(tmp_path: Path) -> None:
    """Before the first request."""
    for name in ("client.crt", "client.key"):
        (tmp_path / name).write_text("not a certificate")
    user = {"client-certificate": str(tmp_path / "client.crt"), "client-key": str(tmp_path / "client.key")}
    with pytest.raises(BadInput, match="client certificate"):
        Cluster.from_kubeconfig(kubeconfig(tmp_path, user=user, cluster={"server": "https://127.0.0.1:9"}))


async def test_nobody_at_the_address_is_unreachable(tmp_path: Path) -> None:
    """Exit code 20, and the address."""
    async with Cluster.from_kubeconfig(kubeconfig(tmp_path, user={"token": TOKEN})) as cluster:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9") as caught:
            await cluster.now()
    assert caught.value.exit_code == ExitCode.UNREACHABLE
    assert TOKEN not in str(caught.value)


async def test_a_token_that_ended_is_read_anew_once() -> None:
    """A 401 to a read makes the credential fresh, and the read is made again with it."""
    tokens = iter(["Bearer old", "Bearer new"])

    def answer(asked: Asked) -> Reply:
        fresh = asked.headers.get("authorization") == "Bearer new"
        return Reply(body={"kind": "X"}) if fresh else status(401, "Unauthorized")

    server = Scripted(answer)
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(server), base_url="http://scripted", auth=Bearer(lambda: next(tokens))
    )
    async with Cluster(client) as cluster:
        assert await cluster.raw("/thing") == {"kind": "X"}
    assert len(server.asked) == 2


async def test_a_token_that_is_refused_twice_is_an_error_with_the_next_step() -> None:
    """It does not go round for ever."""
    server = Scripted(lambda _: status(401, "Unauthorized", "Unauthorized"))
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(server), base_url="http://scripted", auth=Bearer(lambda: f"Bearer {TOKEN}")
    )
    async with Cluster(client) as cluster:
        with pytest.raises(Unauthorized) as caught:
            await cluster.raw("/thing")
    assert "Log in" in caught.value.next_step
    assert TOKEN not in str(caught.value)
    assert len(server.asked) == 1


async def test_the_credential_is_read_once_for_many_requests() -> None:
    """A plug-in is not run for each."""
    reads: list[int] = []

    def read() -> str:
        reads.append(1)
        return f"Bearer {TOKEN}"

    auth = Bearer(read)
    server = Scripted(lambda _: Reply(body={}))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://scripted", auth=auth)
    async with Cluster(client) as cluster:
        await asyncio.gather(*(cluster.raw("/thing") for _ in range(10)))
    assert len(reads) == 1
    assert TOKEN not in repr(auth)


async def test_a_kubeconfig_that_skips_verification_never_asks_a_kubelet(tmp_path: Path) -> None:
    """Our credential would go to whoever answers."""
    skipping = {"server": "https://127.0.0.1:9", "insecure-skip-tls-verify": True}
    pod = {"metadata": {"namespace": "a", "name": "p"}, "spec": {"nodeName": "n"}}
    async with Cluster.from_kubeconfig(kubeconfig(tmp_path, user={"token": TOKEN}, cluster=skipping)) as cluster:
        use = await cluster._kubelets.usage([pod], cluster)
    assert use.samples == ()
    assert "skips TLS verification" in use.gaps[0]


@pytest.mark.control_plane
async def test_a_real_cluster_answers_through_its_kubeconfig(control_plane: ControlPlane) -> None:
    """TLS against its CA, with its token."""
    async with Cluster.from_kubeconfig(str(control_plane.kubeconfig("reader"))) as cluster:
        assert len(await cluster.uid()) == 36
        assert (await cluster.list("Namespace")).items
        with pytest.raises(Forbidden, match="secrets"):
            await cluster.list("Secret", "kube-system")


@pytest.mark.control_plane
async def test_a_wrong_token_and_a_wrong_ca_are_told_apart(control_plane: ControlPlane, tmp_path: Path) -> None:
    """Who we are is refused with 401; who they are is not believed at all."""
    text = control_plane.kubeconfig("reader").read_text()
    wrong = tmp_path / "wrong-token"
    wrong.write_text(text.replace(control_plane.token("reader"), "x" * 32))
    async with Cluster.from_kubeconfig(str(wrong)) as cluster:
        with pytest.raises(Unauthorized):
            await cluster.now()
    other = tmp_path / "other-ca"
    config = yaml.safe_load(text)
    del config["clusters"][0]["cluster"]["certificate-authority"]
    other.write_text(yaml.safe_dump(config))
    async with Cluster.from_kubeconfig(str(other)) as cluster:
        with pytest.raises(Unreachable, match=r"(?i)certificate"):
            await cluster.now()


async def test_what_is_not_acknowledged_is_dropped(tmp_path: Path) -> None:
    """Else the system would go on sending a write long after it was given up: the socket is told so (Linux)."""
    listening = await asyncio.start_server(answering, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    opened = Cluster.from_kubeconfig(kubeconfig(tmp_path, user={}, cluster={"server": address}))
    async with listening, opened as cluster, cluster._transport.client.stream("GET", "/version") as response:
        held = response.extensions["network_stream"].get_extra_info("socket")
        for level, option, told in socket_options():
            assert held.getsockopt(level, option) == told == 5000
    assert socket_options() or not hasattr(socket, "TCP_USER_TIMEOUT")


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    await writer.drain()
    writer.close()
