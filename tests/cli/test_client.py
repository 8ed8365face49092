"""A gateway is found by its rules, and its answers become values or errors of the one tree."""

import json
from pathlib import Path

import pytest

from skyflo_runbooks.cli import launch, operator
from skyflo_runbooks.cli.client import Gateway, find, same_address
from skyflo_runbooks.cli.environment import Environment, read
from skyflo_runbooks.cli.operator import Operator
from skyflo_runbooks.model.errors import (
    BadInput,
    NotAllowed,
    OurBug,
    OutcomeUnknown,
    Refused,
    SkyfloError,
    Unknown,
    Unreachable,
)
from tests.cli.answering import answering
from tests.cli.conftest import Terminal


def written(home: Path, url: str) -> Environment:
    """A home in which a gateway said where it is."""
    (home / "run").mkdir(parents=True)
    (home / "run" / "gateway.json").write_text(json.dumps({"url": url, "token": "kernel-token", "pid": 1}))
    return Environment(home=home)


def test_the_file_is_used_where_the_environment_is_silent(tmp_path: Path) -> None:
    """Address and kernel token come from gateway.json."""
    assert find(written(tmp_path, "http://localhost:1")) == Gateway("http://localhost:1", "kernel-token")


def test_the_environment_wins(tmp_path: Path) -> None:
    """A URL and a token in the environment are used as they are."""
    written(tmp_path, "http://localhost:1")
    environment = read({"SKYFLO_HOME": str(tmp_path), "SKYFLO_GATEWAY_URL": "http://b:2/", "SKYFLO_KERNEL_TOKEN": "t"})
    assert find(environment) == Gateway("http://b:2", "t")


@pytest.mark.parametrize(("url", "token"), [("http://localhost:1", "kernel-token"), ("http://elsewhere:1", "")])
def test_a_token_goes_to_its_own_gateway_only(tmp_path: Path, url: str, token: str) -> None:
    """A URL without a token takes the file's token where both name the same address, and nowhere else."""
    written(tmp_path, "http://localhost:1")
    assert find(read({"SKYFLO_HOME": str(tmp_path), "SKYFLO_GATEWAY_URL": url})).token == token


def test_an_operator_on_another_machine_needs_no_file(tmp_path: Path) -> None:
    """The login names the gateway; its session goes to that address only; a gateway on this machine comes first."""
    environment = Environment(home=tmp_path)
    operator.save(Operator("ops", "http://far:1", "session", "key"), environment.operator_file)
    assert find(environment) == Gateway("http://far:1", "session")
    assert find(Environment(home=tmp_path, gateway_url="http://far:1")).token == "session"
    assert find(Environment(home=tmp_path, gateway_url="http://other:1")).token == ""
    assert find(written(tmp_path, "http://localhost:1")).token == "kernel-token"


def test_no_gateway_says_how_to_start_one(terminal: Terminal) -> None:
    """Exit 20, with the command."""
    said = terminal("approvals")
    assert said.code == 20
    assert "skyflo-runbooks serve" in said.err


@pytest.mark.parametrize(
    "command", [["new", "pods crash"], ["resolve", "pods crash"], ["history"], ["show", "ap-abc123"]]
)
def test_a_gateway_that_is_gone_is_20(terminal: Terminal, command: list[str]) -> None:
    """An address where nobody listens is said, and nothing is tried twice."""
    url = f"http://localhost:{launch.free_port()}"
    terminal.setenv("SKYFLO_GATEWAY_URL", url)
    said = terminal(*command)
    assert said.code == 20
    assert url in said.err
    assert "serve" in said.err


def test_half_a_file_is_unreachable(tmp_path: Path) -> None:
    """A gateway.json that says nothing is named."""
    environment = written(tmp_path, "x")
    environment.gateway_file.write_text("{")
    with pytest.raises(Unreachable, match=r"gateway\.json"):
        find(environment)


def test_what_is_no_address_is_bad_input() -> None:
    """The expected form is said."""
    with pytest.raises(BadInput, match="not the address"):
        Gateway("localhost:8080").get("/")


@pytest.mark.parametrize(
    ("code", "kind"),
    [(2, BadInput), (4, Unknown), (5, NotAllowed), (13, Refused), (20, Unreachable), (1, OurBug), (77, OurBug)],
)
def test_an_error_body_becomes_the_error(code: int, kind: type[SkyfloError]) -> None:
    """Code, message and next step survive the way."""
    body = {"error": {"code": code, "kind": "x", "message": "It is so.", "next_step": "Do that."}}
    with answering(400, body) as server, pytest.raises(kind) as error:
        Gateway(server.url).get("/x")
    assert (error.value.message, error.value.next_step) == ("It is so.", "Do that.")


def test_a_lost_outcome_stays_one() -> None:
    """It must not be read as a gateway that is merely away."""
    body = {"error": {"code": 20, "kind": "OutcomeUnknown", "message": "no answer", "next_step": ""}}
    with answering(503, body) as server, pytest.raises(OutcomeUnknown):
        Gateway(server.url).post("/x", {})


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (500, b"oops"), (404, b"[]"), (502, b'{"error": "x"}')])
def test_another_server_is_not_taken_for_ours(status: int, body: bytes) -> None:
    """Whatever else answers there is unreachable, not an answer."""
    with answering(status, body) as server, pytest.raises(Unreachable, match=r"not .*ours"):
        Gateway(server.url).get("/x")


def test_a_call_carries_its_token_and_query() -> None:
    """The bearer token, the query and the body arrive as they were given."""
    with answering(200, {"ok": True}) as server:
        assert Gateway(server.url, "secret").get("/x", query={"a": "b c", "n": 1}) == {"ok": True}
        Gateway(server.url).post("/y", {"k": "v"})
    assert server.asked == [("GET", "/x?a=b+c&n=1", "Bearer secret", b""), ("POST", "/y", "", b'{"k": "v"}')]


def test_the_token_is_in_no_representation() -> None:
    """A gateway in a log shows its address only."""
    assert "secret" not in repr(Gateway("http://x", "secret"))


def test_same_address() -> None:
    """Scheme, host and port count; a default port is a port."""
    assert same_address("http://localhost:80/x", "http://LOCALHOST")
    assert not same_address("http://localhost:1", "http://localhost:2")
    assert not same_address("http://localhost", "https://localhost")
