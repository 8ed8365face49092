"""Lines of private keys, also in a text that begins or ends in the midst of one. Pure.

Rules:
  1. After `-----BEGIN … PRIVATE KEY-----` lines of base64 are the key's up to its END, or up to the first that is
     shorter than the others; before an END that has no BEGIN all lines of base64 are.
  2. A line of nothing but base64, as long as PEM and OpenSSH write them, is taken for a key's where no certificate or
     public key was begun before it: the beginning of the block may have been cut off. So is a shorter one right after
     it, which would be the last.
  3. A line may bear a prefix (a time, a level) before its base64.
"""

import re
from collections.abc import Iterator, Sequence

Part = tuple[int, int, int]
_MARK = re.compile(r"-----(BEGIN|END) ([A-Z0-9 ]*)-----")
_PRIVATE = "PRIVATE KEY"
_BASE64 = re.compile(r"(?:^|[\s\"'|])([A-Za-z0-9+/]{4,76}={0,2})[\"']?\s*$")
_FULL = (64, 70, 76)
# Within a block a line that is as long as this is not its last.
_LONG = 40


def key_lines(lines: Sequence[str]) -> Iterator[Part]:
    """Yield the place of each line that is a private key's, and where its base64 begins and ends there."""
    block, more, run = "", False, list[Part]()
    for place, line in enumerate(lines):
        marks = _MARK.findall(line)
        found = _BASE64.search(line)
        if marks:
            if marks[0][0] == "END" and marks[0][1].endswith(_PRIVATE):
                yield from _last(run)
            block = marks[-1][1] if marks[-1][0] == "BEGIN" else ""
            more, run = block.endswith(_PRIVATE), []
        elif found is None:
            # Headers of an encrypted key stand between its BEGIN and its base64.
            more, run = more and block.endswith(_PRIVATE) and not run, []
        else:
            part = (place, *found.span(1))
            long = len(found[1]) >= _LONG if block else len(found[1]) in _FULL and _mixed(found[1])
            if block.endswith(_PRIVATE) or not block:
                if more or (long and not block):
                    yield part
                    more = long
                else:
                    run.append(part)


def _last(run: Sequence[Part]) -> Sequence[Part]:
    """Return the end of a run of lines that can be a key's: long ones, and a last one of whatever length."""
    first = len(run) - 1
    while first > 0 and run[first - 1][2] - run[first - 1][1] >= _LONG:
        first -= 1
    return run[max(first, 0) :]


def _mixed(text: str) -> bool:
    """Return whether it looks like base64 of something, and not like a digest in hex or a rule of dashes."""
    return any(one.islower() for one in text) and any(one.isupper() for one in text) and any(map(str.isdigit, text))
