"""`snapshot` and `new --from-snapshot`: what was read is kept, and diagnosed later without a gateway or a cluster."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from skyflo_runbooks.cli import saved
from skyflo_runbooks.cli.bench import Bench
from skyflo_runbooks.model.json import Json
from tests.cli.conftest import TEXT, Terminal
from tests.diagnosis.test_bundle import dumped, listed
from tests.diagnosis.world import FAULTS, Names

WHERE = "Deployment/checkout/payment-service"


@pytest.fixture
def kept(terminal: Terminal, flagship: Bench) -> Path:
    """The flagship's snapshot, in a terminal that knows no gateway any more."""
    said = terminal.at(flagship)("snapshot", TEXT, "-n", "checkout", "-o", "kept.json", "--json")
    assert (said.code, said.json["path"], said.json["namespaces"]) == (0, "kept.json", ["checkout"])
    terminal.setenv("SKYFLO_GATEWAY_URL", "")
    terminal.setenv("SKYFLO_KERNEL_TOKEN", "")
    return terminal.folder / "kept.json"


def test_the_same_cause_without_a_cluster(terminal: Terminal, kept: Path) -> None:
    """Cause, object and evidence; a runbook of reads that lints, and what would be tried on the cluster."""
    said = terminal("new", TEXT, "--from-snapshot", str(kept), "-o", "later.ipynb", "--json")
    assert said.code == 0
    assert [(one["fault"], one["object"]) for one in said.json["findings"]] == [("CON-07", WHERE)]
    assert "change" not in {step["kind"] for step in said.json["plan"]}
    assert said.json["untried"][0]["tool"] == "k8s_set_resources"
    assert terminal("lint", "later.ipynb").code == 0
    notebook = (terminal.folder / "later.ipynb").read_text()
    assert "no cluster to try a change on" in notebook
    assert "No safe change" not in notebook
    told = terminal("new", TEXT, "--from-snapshot", str(kept))
    assert "nothing was tried" in told.out
    assert "k8s_set_resources(kind=Deployment, namespace=checkout" in told.out


def test_without_its_names(terminal: Terminal, flagship: Bench) -> None:
    """The fault is the same; no namespace, workload or image is named in the file, and no log is in it."""
    made = terminal.at(flagship)("snapshot", TEXT, "-o", "bare.json", "--anonymise", "--no-logs", "--json")
    assert (made.code, made.json["anonymised"], made.json["logs"]) == (0, True, 0)
    raw = (terminal.folder / "bare.json").read_text()
    assert [name for name in ("checkout", "payment-service", "payment-svc", "storefront") if name in raw] == []
    said = terminal("new", "pods are crashing", "--from-snapshot", "bare.json", "--json")
    assert [one["fault"] for one in said.json["findings"]] == ["CON-07"]


def test_a_file_is_for_its_owner_and_is_not_overwritten(terminal: Terminal, flagship: Bench, kept: Path) -> None:
    """Names and logs are in it."""
    assert kept.stat().st_mode & 0o777 == 0o600
    assert terminal.at(flagship)("snapshot", TEXT, "-o", "kept.json").code == 2


def test_no_secret_is_in_it(kept: Path) -> None:
    """Of Secrets there is no value; values of variables that are named like one are masked."""
    objects = json.loads(kept.read_text())["objects"]
    assert all(not {"data", "stringData"} & set(one) for one in objects.get("Secret", []))
    values = [
        variable["value"]
        for pod in objects["Pod"]
        for container in pod["spec"]["containers"]
        for variable in container.get("env", [])
        if "value" in variable and variable["name"].endswith(("TOKEN", "PASSWORD", "KEY"))
    ]
    assert all(value.startswith("«masked:") for value in values)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "tar.gz"])
def test_a_dump_and_a_bundle(terminal: Terminal, packed: bool) -> None:
    """A folder of files, or an archive that nothing of is unpacked: links and foreign files are passed by."""
    files = {**dumped(FAULTS["CON-07"](Names())), "readme.md": b"\xff"}
    path = terminal.folder / ("dump.tar.gz" if packed else "dump")
    if packed:
        with tarfile.open(path, "w:gz") as archive:
            for name, raw in files.items():
                member = tarfile.TarInfo(f"../{name}")
                member.size = len(raw)
                archive.addfile(member, io.BytesIO(raw))
            link = tarfile.TarInfo("nodes/other.json")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
    else:
        for name, raw in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(raw)
    said = terminal("new", TEXT, "--from-snapshot", str(path), "--json")
    assert said.code == 0, said.err
    assert [(one["fault"], one["object"]) for one in said.json["findings"]] == [("CON-07", WHERE)]
    assert any("not in these files" in text for text in said.json["unknown"])


def test_nothing_wrong_in_half_a_cluster_is_unknown(terminal: Terminal) -> None:
    """4, never 3: what was not collected may hold the cause. No file is written for it."""
    (terminal.folder / "part").mkdir()
    (terminal.folder / "part" / "pods.json").write_bytes(listed("Pod", []))
    node: Json = {"metadata": {"name": "a"}}
    (terminal.folder / "part" / "nodes.json").write_bytes(listed("Node", [node]))
    assert terminal("new", TEXT, "--from-snapshot", "part").code == 4
    assert list(terminal.folder.glob("*.ipynb")) == []


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("gone.json", None, "no file"),
        ("text.json", b"hello", "not a snapshot"),
        ("other.json", b'{"schema": "x", "time": ""}', "snapshot"),
        ("broken.tar.gz", b"\x1f\x8b broken", "cannot be unpacked"),
        ("empty.tgz", b"", "cannot be unpacked"),
    ],
)
def test_other_files_are_bad_input(terminal: Terminal, name: str, raw: bytes | None, says: str) -> None:
    """With what was expected, and without a traceback."""
    if raw is not None:
        (terminal.folder / name).write_bytes(raw)
    said = terminal("new", TEXT, "--from-snapshot", name)
    assert (said.code, says in said.err) == (2, True), said.err


def test_more_than_can_be_held_is_refused(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where only all files together are too much; of a log the end is kept."""
    monkeypatch.setattr(saved, "LARGEST", 2000)
    monkeypatch.setattr(saved, "LOG", 10)
    folder = terminal.folder / "dump"
    folder.mkdir()
    (folder / "a.log").write_bytes(b"x" * 5000 + b"\nend")
    (folder / "pods.json").write_bytes(listed("Pod", []) + b" " * 1000)
    assert terminal("new", TEXT, "--from-snapshot", "dump").code == 2
    (folder / "more.json").write_bytes(b" " * 1500)
    said = terminal("new", TEXT, "--from-snapshot", "dump")
    assert (said.code, "MiB" in said.err) == (2, True)


def test_a_namespace_that_was_not_read(terminal: Terminal, kept: Path) -> None:
    """Bad input with the nearest, as on a cluster."""
    said = terminal("new", TEXT, "-n", "chekout", "--from-snapshot", str(kept))
    assert (said.code, "checkout" in said.err) == (2, True)


def test_a_model_has_no_part_in_it(terminal: Terminal, kept: Path) -> None:
    """The rules alone diagnose a file."""
    assert terminal("new", TEXT, "--from-snapshot", str(kept), "--model", "x/y").code == 2
