"""`docs/tools.md` is what the servers offer, and nothing else."""

import pytest
from skyflo_mcp.kubernetes import TOOLS

from skyflo_runbooks.cli.app import main
from skyflo_runbooks.cli.tools_page import Offered, offered, page
from tests.docs.readme import ROOT

PAGE = (ROOT / "docs" / "tools.md").read_text()


async def test_the_page_is_up_to_date() -> None:
    """`make tools-doc` writes it."""
    assert page(await offered()) == PAGE


async def test_the_page_says_what_each_server_says() -> None:
    """Every tool, once, with the effect that its annotation has."""
    listed = {one.name: one.read for one in await offered()}
    assert listed == {name: tool.effect == "read" for name, tool in TOOLS.items()}
    for name, read in listed.items():
        _, _, section = PAGE.partition(f"\n### {name}\n\n")
        assert section.startswith("*read*" if read else "*change*"), name


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_every_argument_of_a_tool_is_on_the_page(name: str) -> None:
    """In its own section."""
    section = PAGE.partition(f"\n### {name}\n\n")[2].partition("\n### ")[0]
    for argument in TOOLS[name].schema["properties"]:
        assert f"| `{argument}`" in section


def test_a_tool_with_another_name_says_which_it_stands_for() -> None:
    """The column is there where there is something in it."""
    one = Offered("k8s_new", "Does it.", {"properties": {}}, read=False, domain="kubernetes", replaces="k8s_old")
    assert "| kinds | replaces |" in page([one])
    assert "k8s_old |" in page([one])
    assert "No arguments." in page([one])


def test_the_command_writes_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """And is not shown to those who look for a command."""
    assert main(["tools", "--page"]) == 0
    assert capsys.readouterr().out == PAGE
    main(["tools", "--help"])
    assert "--page" not in capsys.readouterr().out
