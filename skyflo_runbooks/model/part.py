"""What a proposal would do, part by part, as page, terminal and notebook tell it from a proposal's view. Pure.

Rules:
  1. Each request is a part: its object, what happens to it, and the diff.
  2. What runs in a container is its argv, quoted as a shell would have to be told it, though no shell is asked.
  3. While it is applied each request is done, waits for something that is named, is under way, or is ahead.
  4. What no dry run could show beforehand is said (`previews`).
"""

import shlex
from typing import Literal, NamedTuple

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import format_duration

_VERBS = {"create": "Create", "patch": "Change", "apply": "Apply", "delete": "Delete", "evict": "Evict", "run": "Run"}
_NAMED = 10
LATER = "It cannot be previewed before those ahead of it were applied."
NEVER = "Nothing can preview this: what it does is known when it has run."


class Part(NamedTuple):
    """One request as it is shown."""

    verb: str
    object: str
    diff: str
    preview: str = "server"
    container: str = ""
    command: tuple[str, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether the diff says everything, where it is the only part."""
        return self.verb not in ("run", "evict")

    @property
    def does(self) -> str:
        """What happens, in a word."""
        return _VERBS.get(self.verb, self.verb)

    @property
    def where(self) -> str:
        """The object that it happens to; of a command the container in it."""
        return f"in {self.container} of {self.object}" if self.verb == "run" else self.object

    @property
    def line(self) -> str:
        """What is run."""
        return shlex.join(self.command)

    @property
    def change(self) -> str:
        """The diff without the object in its head, which is told already: only the place in it is left."""
        first, _, rest = self.diff.partition("\n")
        if not first.startswith("@@ "):
            return self.diff
        _, divided, place = first.partition(" · ")
        return f"@@ {place}\n{rest}" if divided else rest


def parts(view: Json) -> list[Part]:
    """Return the parts of a proposal; one whose view tells of none has its diff as its only part."""
    given = [item for item in view.get("parts") or () if isinstance(item, dict)]
    if not given:
        return [Part("patch", "", str(view.get("diff") or ""))]
    return [_part(item) for item in given]


def previews(view: Json) -> list[str]:
    """Return in words what no dry run could show, unless the impact tells it by name."""
    found = parts(view)
    later = [part.object for part in found if part.preview == "later"]
    told = any("cannot be tried" in str(line) for line in at(view, "impact", "unknown", default=[]) or ())
    said = [NEVER] if not told and any(part.verb == "run" or part.preview == "none" for part in found) else []
    if later:
        more = f" and {len(later) - _NAMED} more" if len(later) > _NAMED else ""
        said.append(f"Not to be tried before what stands ahead was applied: {', '.join(later[:_NAMED])}{more}.")
    return said


class Standing(NamedTuple):
    """Where one request stands while a change is applied, and what was answered or is waited for."""

    part: Part
    state: Literal["done", "waits", "now", "ahead"]
    said: str = ""


def standing(view: Json) -> list[Standing]:
    """Return where each request stands; nothing where the change is not being applied."""
    progress = view.get("progress")
    if not isinstance(progress, dict):
        return []
    done, waits = int(progress.get("done") or 0), progress.get("waits") or {}
    answers = [str(one.get("message") or "") for one in at(view, "receipt", "applied", default=[]) or ()]
    found = []
    for place, part in enumerate(parts(view)):
        if place < done:
            found.append(Standing(part, "done", answers[place] if place < len(answers) else ""))
        elif place > done:
            found.append(Standing(part, "ahead"))
        else:
            found.append(Standing(part, "waits", waiting_for(waits)) if waits else Standing(part, "now"))
    return found


def waiting_for(waits: Json) -> str:
    """Return what is waited for, for how long still, and what lets it go on."""
    said = str(waits.get("said") or "").partition(" answered 429: ")[2] or str(waits.get("said") or "")
    left = format_duration(float(waits.get("left") or 0))
    return (
        f"{said.rstrip('.')}. It is tried again for {left}, and goes on by itself once another of these pods is ready "
        "or the budget allows it; else it fails, and what was done stays."
    )


def outputs(view: Json) -> str:
    """Return what commands of an executed proposal wrote, as far as the gateway kept it."""
    receipt = view.get("receipt") or {}
    return "\n".join(text for item in receipt.get("applied") or () if (text := str(item.get("output") or "")))


def _part(item: Json) -> Part:
    return Part(
        verb=str(item.get("verb") or "patch"),
        object=str(item.get("object") or ""),
        diff=str(item.get("diff") or ""),
        preview=str(item.get("preview") or "server"),
        container=str(item.get("container") or ""),
        command=tuple(str(word) for word in item.get("command") or ()),
    )
