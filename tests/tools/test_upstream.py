"""What operators of the upstream system have, they have here: each tool, its effect, and each of its parameters."""

import json
from pathlib import Path

import pytest
from skyflo_mcp.kubernetes import TOOLS

from skyflo_runbooks.model.json import Json

TABLE: list[Json] = json.loads((Path(__file__).parent / "upstream.json").read_text())["kubectl"]
ROWS = pytest.mark.parametrize("row", TABLE, ids=[row["tool"] for row in TABLE])


def equal_of(name: str) -> str:
    """Our tool for one of theirs: of the same name, or the one that says that it replaces it."""
    return name if name in TOOLS else next((one.name for one in TOOLS.values() if one.replaces == name), "")


def test_the_table_is_whole() -> None:
    """Twenty-two tools, nine that read."""
    assert len({row["tool"] for row in TABLE}) == len(TABLE) == 22
    assert sum(row["effect"] == "read" for row in TABLE) == 9


@ROWS
def test_each_of_their_tools_has_its_equal_with_the_same_effect(row: Json) -> None:
    """What reads there reads here, and what changes something there is a change here."""
    ours = TOOLS[equal_of(row["tool"])]
    assert ours.effect == row["effect"]


@ROWS
def test_each_of_their_parameters_has_its_equal_or_a_reason(row: Json) -> None:
    """Under another name where ours is a typed field, or not at all where nothing is lost."""
    ours = TOOLS[equal_of(row["tool"])].schema["properties"]
    for parameter, same in row["parameters"].items():
        if same.startswith("-- "):
            assert parameter not in ours, f"{parameter} is said to be gone"
        else:
            assert set(same.split(" ")) <= set(ours), parameter


@ROWS
def test_what_we_require_beyond_theirs_is_what_names_the_object(row: Json) -> None:
    """A kind, a namespace, a container: what they guess. Nothing else stands in the way of who moves."""
    ours = TOOLS[equal_of(row["tool"])].schema
    known = {name for same in row["parameters"].values() for name in same.split(" ")}
    assert set(ours.get("required", [])) - known <= {"kind", "namespace", "container", "send"}
