"""What works without a gateway: tools, lint, explain, doctor."""

import json
from pathlib import Path

import pytest

from skyflo_runbooks.cli import doctor, explain
from skyflo_runbooks.cli.bench import Bench
from skyflo_runbooks.cli.catalogue import CATALOGUE
from skyflo_runbooks.cli.environment import Environment, home, read
from tests.cli.conftest import TEXT, Terminal


def test_tools_is_the_catalogue(terminal: Terminal) -> None:
    """Each with its effect; the members are the contract's."""
    said = terminal("tools", "--json").json
    assert all(set(tool) == {"name", "domain", "effect", "replaces"} for tool in said)
    effects = {tool["name"]: tool["effect"] for tool in said}
    assert effects["k8s_get"] == "read"
    assert effects["k8s_set_resources"] == "change"
    assert "k8s_rollout_undo" in terminal("tools").out


# What kubectl does for operators of the upstream system that changes something, by its names there.
UPSTREAM_WRITES = (
    *("k8s_apply", "k8s_patch", "k8s_set_image", "k8s_rollout_restart", "k8s_scale", "k8s_delete", "k8s_rollout_undo"),
    *("k8s_cordon", "k8s_uncordon", "k8s_drain", "k8s_run_pod", "k8s_exec", "k8s_port_forward"),
)


def test_whoever_moves_here_finds_each_change_that_they_know(terminal: Terminal) -> None:
    """Under its name, or under the one that says what it replaces; and each of them waits for an approval."""
    said = terminal("tools", "--json").json
    known = {name: tool["effect"] for tool in said for name in (tool["name"], tool["replaces"]) if name}
    assert {name: known.get(name) for name in UPSTREAM_WRITES} == dict.fromkeys(UPSTREAM_WRITES, "change")


def test_explain_says_what_a_rule_looks_for(terminal: Terminal) -> None:
    """One fault, or the list; an unknown one names those that there are."""
    said = terminal("explain", "con-07", "--json").json
    assert said["fault"] == "CON-07"
    assert "Pod" in said["needs"]
    assert {one["fault"] for one in terminal("explain", "--json").json} >= {"CON-07", "IMG-01"}
    assert "CON-07" in terminal("explain", "CON-07").out
    unknown = terminal("explain", "XYZ-99")
    assert unknown.code == 2
    assert "CON-07" in unknown.err


def test_explain_says_what_decides_a_fault_that_its_rule_alone_may_not(terminal: Terminal) -> None:
    """Where to look, and what each outcome would mean; a fault that is always certain needs no such line."""
    said = terminal("explain", "CON-05")
    assert "  decides   the whole log of container … of the object" in said.out
    assert "it is not if an earlier line names what failed first" in said.out
    assert terminal("explain", "IMG-01", "--json").json["decided_by"] == []


def test_explain_says_what_repairs_a_fault_and_how_one_gets_back(terminal: Terminal) -> None:
    """Title, evidence, repair, verify and way back; the repair is what the repair rule says of itself."""
    said = terminal("explain", "CON-07")
    assert said.out.startswith("CON-07  OOMKilled\n")
    for fact in ("evidence  last state OOMKilled", "reads     Pod", "repair    Raise the limit",
                 "verify    no OOMKilled", "way back  restore the limit: skyflo-runbooks rollback ap-…"):  # fmt: skip
        assert fact in said.out


def test_a_fault_without_an_entry_is_explained_by_its_rule_alone() -> None:
    """What is not known takes no line, and nothing is made up."""
    bare = {"fault": "X-1", "means": "It broke.", "needs": ["Pod"], "repair": "", "title": "", "evidence": "",
            "verify": "", "way_back": "", "decided_by": []}  # fmt: skip
    lines = [line.text for line in explain.told(bare)]
    assert lines[:2] == ["X-1", "It broke."]
    assert [line.split()[0] for line in lines[2:]] == ["reads", "repair"]
    assert "none by rule" in lines[3]


def test_a_fault_that_is_none_names_its_family(terminal: Terminal) -> None:
    """Not all hundred of them."""
    answer = terminal("explain", "con-99")
    assert answer.code == 2
    assert "CON-07" in answer.err
    assert "SCH-01" not in answer.err


def test_every_entry_of_the_catalogue_has_its_rule(terminal: Terminal) -> None:
    """An entry for a fault that no rule finds would never be shown."""
    assert {one["fault"] for one in terminal("explain", "--json").json} >= set(CATALOGUE)


def test_only_a_checkout_is_told_to_make_the_extension(tmp_path: Path) -> None:
    """An installed wheel has no Makefile."""
    assert "install a wheel" in doctor.without_extension(tmp_path / "skyflo_kernel")
    (tmp_path / "labextension").mkdir()
    (tmp_path / "labextension" / "package.json").write_text("{}")
    assert doctor.without_extension(tmp_path / "skyflo_kernel") == "make labextension"


def test_lint_names_cell_rule_and_remedy(terminal: Terminal, flagship: Bench) -> None:
    """A runbook that was edited outside the grammar is told where, and what to do."""
    terminal.at(flagship)("new", TEXT, "-o", "good.ipynb")
    assert terminal("lint", "good.ipynb", "--json").json == [{"file": "good.ipynb", "problems": []}]
    notebook = json.loads((terminal.folder / "good.ipynb").read_text())
    cell = next(one for one in notebook["cells"] if "skyflo-change" in one["metadata"].get("tags", []))
    cell["source"] = "import os\nos.system('kubectl delete ns checkout')"
    (terminal.folder / "bad.ipynb").write_text(json.dumps(notebook))
    said = terminal("lint", "bad.ipynb")
    assert said.code == 2
    assert cell["id"] in said.out
    assert "[free-code]" in said.out


def test_lint_wants_notebooks(terminal: Terminal) -> None:
    """A missing file and another file are bad input."""
    assert terminal("lint", "missing.ipynb").code == 2
    (terminal.folder / "x.ipynb").write_text("no")
    assert terminal("lint", "x.ipynb").code == 2


def test_warnings_count_when_asked(terminal: Terminal, flagship: Bench) -> None:
    """A changed default moves the digest: a warning, and with --strict an error."""
    terminal.at(flagship)("new", TEXT, "-o", "r.ipynb")
    text = (terminal.folder / "r.ipynb").read_text().replace('\\"512Mi\\"', '\\"640Mi\\"')
    (terminal.folder / "r.ipynb").write_text(text)
    assert terminal("lint", "r.ipynb").code == 0
    assert terminal("lint", "r.ipynb", "--strict").code == 2


def test_doctor_without_anything_is_well(terminal: Terminal) -> None:
    """What is not there is a note with the way to get it, not a failure."""
    said = terminal("doctor", "--json")
    assert said.code == 0
    looks = {look["what"]: look for look in said.json}
    assert looks["gateway"]["state"] == "note"
    assert "serve" in looks["gateway"]["fix"]
    assert "login LINK" in looks["operator"]["fix"]
    assert all(look["state"] != "broken" for look in said.json)


def test_doctor_sees_the_gateway_and_the_operator(terminal: Terminal, flagship: Bench) -> None:
    """With both there, both are ok, and no token is shown."""
    said = terminal.at(flagship, log_in=True)("doctor")
    assert said.code == 0
    assert "✓ gateway" in said.out
    assert "✓ cluster" in said.out
    assert "promises at http://localhost" in said.out
    assert flagship.operator.session not in said.out
    assert flagship.kernel.token not in said.out


def test_doctor_says_that_the_gateway_is_gone(terminal: Terminal) -> None:
    """A gateway that is configured and does not answer is broken: 20."""
    terminal.setenv("SKYFLO_GATEWAY_URL", "http://localhost:9")
    said = terminal("doctor")
    assert said.code == 20
    assert "✗ gateway" in said.out


def test_doctor_says_that_a_credential_is_open(tmp_path: Path) -> None:
    """Readable by others is broken, with the remedy."""
    (tmp_path / "operator.json").write_text("{}")
    (tmp_path / "operator.json").chmod(0o644)
    look = next(one for one in doctor.examine(Environment(home=tmp_path)) if one.what == "operator")
    assert (look.state, look.code) == ("broken", 5)
    assert "chmod 600" in look.fix


@pytest.mark.parametrize(
    ("variables", "expected"), [({"SKYFLO_HOME": "/x/y"}, Path("/x/y")), ({"SKYFLO_HOME": "~"}, Path.home())]
)
def test_the_home(variables: dict[str, str], expected: Path) -> None:
    """$SKYFLO_HOME wins; without it the system's own place is used."""
    assert home(variables) == expected
    assert home({}).name == "skyflo-runbooks"


def test_the_environment_is_read_once() -> None:
    """Everything that the command line takes from it, in one value."""
    said = read({"SKYFLO_HOME": "/h", "SKYFLO_GATEWAY_URL": "http://x/", "SKYFLO_DEBUG": "1", "SKYFLO_MODEL": "m"})
    assert (said.gateway_url, said.debug, said.model, said.kernel_token) == ("http://x", True, "m", "")
    assert said.gateway_file == Path("/h/run/gateway.json")
