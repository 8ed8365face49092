"""The documents are true to the tree: their links lead somewhere, and the paths they name are there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.readme import README, ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "runbooks").rglob("*.md")])
_LINK = re.compile(r"\[[^\]]*\]\((?P<to>[^)\s]+)\)")
_CODE = re.compile(r"`(?P<code>[^`\n]+)`")
# A path in the prose: it begins with a folder of the checkout.
_FOLDERS = "|".join(re.escape(folder.name) for folder in sorted(ROOT.iterdir()) if folder.is_dir())
_PATH = re.compile(rf"(?:{_FOLDERS})/[\w./-]*")
# A machine's own path, or an address that only one network has.
_MACHINE = re.compile(r"(?<![\w.~$}])/(?:work|home|root|Users|tmp|private)/|\b(?:10|192\.168)\.\d+\.\d+\.\d+\b")
_MADE = ("kernel_ext/skyflo_kernel/labextension", ".venv")


def paths(text: str) -> Iterator[str]:
    """The paths that a page names in code."""
    for code in _CODE.finditer(text):
        if (found := _PATH.match(code["code"])) and not found[0].startswith(_MADE):
            yield found[0].rstrip("/.")


def anchors(text: str) -> set[str]:
    """The anchors that the headings of a page make."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """A file or folder beside the page, and its heading where one is named. Addresses elsewhere are https."""
    for link in _LINK.finditer(page.read_text()):
        to, _, anchor = link["to"].partition("#")
        if "://" in to:
            assert to.startswith("https://"), to
            continue
        target = (page.parent / to).resolve() if to else page
        assert target.exists(), f"{link[0]} leads nowhere"
        assert not anchor or anchor in anchors(target.read_text()), f"{link[0]} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_is_there(page: Path) -> None:
    """What stands in code and begins with a folder of the checkout exists."""
    missing = [path for path in paths(page.read_text()) if not (ROOT / path).exists()]
    assert not missing, f"{page.name} names what is not there: {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_machine(page: Path) -> None:
    """Nothing that only the machine of whoever wrote it has."""
    found = [hit[0] for hit in _MACHINE.finditer(page.read_text())]
    assert not found


def test_what_is_looked_for_would_be_found() -> None:
    """The patterns of these tests see what they are for."""
    assert list(paths("in `docs/none.md`, `tests/docs/` and `make test`")) == ["docs/none.md", "tests/docs"]
    assert _MACHINE.search("lies in /home/somebody/x")
    assert not _MACHINE.search("`$SKYFLO_HOME/run/gateway.json` and `~/.kube/home/`")
    assert anchors("## What it does not promise\n") == {"what-it-does-not-promise"}


def test_the_picture_is_small_and_shown() -> None:
    """A README that loads slowly is not read: under 300 kB, and the README shows it with words for who cannot see."""
    picture = ROOT / "docs" / "images" / "notebook.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 300_000
    shown = re.search(r"!\[(?P<words>[^\]]+)\]\(docs/images/notebook\.png\)", README.read_text())
    assert shown
    assert len(shown["words"].split()) > 8


def test_a_decision_record_has_its_parts() -> None:
    """Numbered without a gap, each with its question, decision and cost."""
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text()
        assert text.startswith(f"# {int(record.name[:4])}. ")
        assert all(part in text for part in ("**Question.**", "**Decision.**", "**What it costs.**")), record.name
