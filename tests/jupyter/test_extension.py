"""The routes in a real Jupyter server: behind its login, one grammar, and nothing that decides."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from skyflo_runbooks.cli.launch import free_port
from skyflo_runbooks.model.json import Json
from tests.jupyter.gateway import TOKEN, Gateway, served

JUPYTER_TOKEN = "jupyter-token-of-the-test"
SOURCES = (
    'namespace: str = "checkout"  # where',
    'from skyflo_kernel import check, runbook\n\nrunbook_id: str = "rb-1"',
    'pods = runbook.read("k8s_get", kind="Pod", namespace=namespace)',
    'import os\nos.system("true")',
    'scale = runbook.change("k8s_scale", kind="Deployment", namespace=namespace, name="web", replicas=3, why="w")',
    'done = runbook.verify(check.rollout_complete("Deployment", "web", namespace=namespace), after=[scale])',
)


class Served(NamedTuple):
    """A Jupyter server and the gateway that it asks."""

    client: httpx.Client
    gateway: Gateway


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A Jupyter server with the extension, as `jupyter_server_config.d` enables it."""
    folder = tmp_path_factory.mktemp("jupyter")
    port = free_port()
    with served(Gateway()) as gateway, (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *arguments(folder, port)],
            env={**os.environ, **variables(folder, gateway)},
            stdout=log,
            stderr=log,
        )
        headers = {"Authorization": f"token {JUPYTER_TOKEN}"}
        transport = httpx.HTTPTransport(retries=12)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, transport=transport, timeout=60) as it:
            try:
                assert it.get("/api").status_code == 200, (folder / "log").read_text()
                yield Served(it, gateway)
            finally:
                process.terminate()
                process.wait(30)


def arguments(folder: Path, port: int) -> list[str]:
    """How the server is started: like `lab` does, with login and XSRF checks on."""
    set_ = {"ip": "127.0.0.1", "port": port, "root_dir": folder, "open_browser": False, "port_retries": 0}
    enabled = '--ServerApp.jpserver_extensions={"skyflo_kernel": True}'
    return ["--allow-root", enabled, *(f"--ServerApp.{name}={value}" for name, value in set_.items())]


def variables(folder: Path, gateway: Gateway) -> dict[str, str]:
    """A home of its own, and where the gateway is."""
    home = {"HOME": str(folder), "JUPYTER_TOKEN": JUPYTER_TOKEN, "JUPYTER_RUNTIME_DIR": str(folder / "run")}
    return {**home, "SKYFLO_GATEWAY_URL": gateway.url, "SKYFLO_KERNEL_TOKEN": TOKEN}


def notebook(cluster: str = "uid-1") -> Json:
    """What the page asks to classify."""
    metadata = {"id": "rb-1", "schema": "skyflo.dev/runbook/v1", "target": {"cluster": cluster, "context": "prod"}}
    return {"metadata": metadata, "cells": [{"id": str(n), "source": source} for n, source in enumerate(SOURCES)]}


def test_cells_are_classified_by_the_grammar(server: Served) -> None:
    """What only reads may run by itself; a change, its verify step and free code may not."""
    answer = server.client.post("/skyflo/classify", json=notebook()).json()
    assert answer["refusal"] is None
    assert [cell["kind"] for cell in answer["cells"]] == ["parameters", "import", "read", "free", "change", "verify"]
    assert [cell["auto"] for cell in answer["cells"]] == [True, True, True, False, False, False]
    assert answer["cells"][5]["after"] == ["scale"]


def test_another_cluster_runs_nothing_by_itself(server: Served) -> None:
    """Both clusters are named, so that one sees what happened."""
    refusal = server.client.post("/skyflo/classify", json=notebook(cluster="uid-2")).json()["refusal"]
    assert "prod" in refusal
    assert "practice" in refusal


@pytest.mark.parametrize("body", [b"", b"[]", b'{"metadata": {}}', b'{"cells": "x"}'])
def test_a_body_of_another_form_is_bad_input(server: Served, body: bytes) -> None:
    """Said in words, with status 400."""
    answer = server.client.post("/skyflo/classify", content=body)
    assert answer.status_code == 400
    assert answer.json()["code"] == 2


def test_a_lease_is_for_one_page(server: Served) -> None:
    """The second page on the same kernel does not get it; after a restart of Jupyter the kernel is another one."""
    ask = {"runbook": "rb-1", "kernel": "k-1", "what": "reads"}
    assert server.client.post("/skyflo/lease", json=ask).json() == {"granted": True}
    assert server.client.post("/skyflo/lease", json=ask).json() == {"granted": False}
    assert server.client.post("/skyflo/lease", json={**ask, "kernel": "k-2"}).json() == {"granted": True}


def test_a_settled_proposal_comes_with_its_receipt(server: Served) -> None:
    """Rendered here, because the kernel that made it may be gone."""
    server.gateway.views["ap-done00"] = {"id": "ap-done00", "state": "rejected", "title": "Scale web"}
    standing = server.client.get("/skyflo/proposals/ap-done00").json()
    assert (standing["state"], standing["settled"], standing["next"]) == ("rejected", True, None)
    assert standing["bundle"]["application/vnd.skyflo.receipt.v1+json"]["state"] == "rejected"


def test_a_superseded_proposal_names_the_one_that_took_its_place(server: Served) -> None:
    """The page goes on with that one and shows no receipt yet."""
    server.gateway.views["ap-old000"] = {"id": "ap-old000", "state": "superseded", "superseded_by": "ap-new000"}
    standing = server.client.get("/skyflo/proposals/ap-old000").json()
    assert (standing["next"], standing["bundle"]) == ("ap-new000", None)


def test_an_open_proposal_has_no_receipt(server: Served) -> None:
    """Waiting is a value."""
    server.gateway.views["ap-open00"] = {"id": "ap-open00", "state": "proposed"}
    standing = server.client.get("/skyflo/proposals/ap-open00").json()
    assert (standing["settled"], standing["bundle"]) == (False, None)


def test_a_refusal_of_the_gateway_is_passed_on_in_words(server: Served) -> None:
    """With its status, and without the token."""
    answer = server.client.get("/skyflo/proposals/ap-gone00")
    assert answer.status_code == 409
    assert answer.json()["message"] == "There is no such proposal. Look again."
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/skyflo/classify"), ("POST", "/skyflo/lease"), ("GET", "/skyflo/proposals/ap-open00")],
)
def test_without_jupyters_login_nothing_is_answered(server: Served, method: str, path: str) -> None:
    """Each route stands behind it."""
    answer = httpx.request(method, str(server.client.base_url.join(path)), json={})
    assert answer.status_code in (302, 403)


@pytest.mark.parametrize("path", ["decision", "approve", "nonce", "modify", "rollback"])
def test_there_is_no_route_that_decides(server: Served, path: str) -> None:
    """Whatever is posted, nothing is asked of the gateway."""
    before = list(server.gateway.asked)
    for url in (f"/skyflo/proposals/ap-open00/{path}", f"/skyflo/{path}"):
        assert server.client.post(url, json={"decision": "approve"}).status_code in (404, 405)
    assert server.gateway.asked == before
