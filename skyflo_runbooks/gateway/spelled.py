r"""Where in a text a secret value stands that its name, a flag or a URL gives away. Pure.

Rules:
  1. After a secret's name and `=`, `:`, `:=` or `=>` comes its value. In quotes it goes up to the quote that closes it:
     one with as many backslashes before it, so that JSON within JSON is read as well. A quote that nobody closes goes
     to the end of its line.
  2. Without quotes it ends before a space, and before a comma or the like after which another name or nothing comes.
  3. `|` or `>` at the end of a line begins a block of YAML: all lines that are indented deeper than the name.
  4. `--password VALUE` and `"--password", "VALUE"`: the argument after a flag that is named like a secret.
  5. A URL's password goes up to the last `@` before a space or a quote; an image's `@sha256:` is none, nor is what
     comes after a port.
  6. Everything is looked through once: each text that is looked at is either passed for good, or has a bound.
"""

import re
from collections.abc import Iterator

Span = tuple[int, int]

NAME = (
    r"(?:pass(?:word|wd|phrase)?|token|secret|credentials?|dockerconfigjson|dockercfg|"
    r"(?:api|secret|access|private|encryption|signing|master|client)[_-]?key|client-key-data|"
    # PWD and OLDPWD are the shell's folders.
    r"(?<=[_.-])pwd|(?-i:Pwd|(?<![A-Za-z0-9])pwd))"
)
# What follows a name, or a flag that may just as well end in `-key`.
_NAMED = re.compile(
    rf"(?:{NAME}|(?<=-)key)\\*[\"']?(?:(?P<sets>\s*+(?:=>|:=|[=:])\s*+(?:(?:Bearer|Basic)[ \t]++)?)"
    r"|(?P<next>[ \t]++|\s*+,\s*+|[ \t]*+\n[ \t]*+-[ \t]++))",
    re.IGNORECASE,
)
_FLAG = re.compile(rf"--?(?:[\w.-]*[_.-])?(?:{NAME}|key)", re.IGNORECASE)
_NO_FLAG = re.compile(r"--?(?:[\w.-]*-)?(?:public|sort|partition|foreign|primary|host|group|cache)-key", re.IGNORECASE)
# The longest name of a flag, and the longest quoted value that goes over more than a line.
_FLAG_LENGTH, _QUOTED_LENGTH = 60, 4096
_QUOTE = re.compile(r"(\\*+)([\"'])")
_DASH = re.compile(r"\\*+[\"']?-")
_BLOCK = re.compile(r"[|>][+-]?\d?[+-]?[ \t]*+(?:#[^\n]*+)?(?P<end>\r?\n|\\n)")
_INDENT = re.compile(r"[ \t]*+(?:-[ \t]++)*+")
_PLAIN = re.compile(
    r"(?:[^\s\"'\\,;&}]|\\(?!\\{0,8}[\"'])|[\"'](?=\w)|[,;&](?!\s|\Z|[\"'{\[]|[\w.-]{1,60} ?[=:])"
    r"|}(?![\s,;}\])\"'\\]|\Z))+"
)
# Where a secret lies is none, and neither is punctuation between two quotes.
_PLACE = re.compile(r"/(?:etc|var|run|home|root|opt|usr|tmp|mnt)/[\w./-]*")
_SETTINGS = ("true", "false", "null", "None")
_NOTHING = re.compile(r"[\s,:;{}\[\]()]*")
# A shorter value is no secret.
_SHORTEST = 3

_ADDRESS = re.compile(r"://(?:[^\s\"'`]|[\"'](?=\w))++")
_MARKED = r"«masked:[0-9a-f]{12}»"
_USER = re.compile(rf"(?:{_MARKED}|[^\s:/?#@«\[])*+:")
_PORT = re.compile(r"\d{1,5}(?:[/?#,]|\Z)")


def assigned(text: str) -> Iterator[Span]:
    """Yield where values of secrets stand, by rules 1 to 4; none twice, the first first."""
    place = 0
    while (found := _NAMED.search(text, place)) is not None:
        place = found.end()
        if (found["sets"] is None or found[0][0] in "kK") and not _is_flag(text, found):
            place = found.start("next") if found["sets"] is None else place
            continue
        if found["sets"] is None and _DASH.match(text, place):
            continue  # the next flag
        start, end = _value(text, place, found.start())
        if end - start >= _SHORTEST and not _says_nothing(text[start:end], found):
            yield start, end
            place = end


def is_flag(argument: str) -> bool:
    """Return whether the argument after this one is a secret."""
    return bool(_FLAG.fullmatch(argument)) and not _NO_FLAG.fullmatch(argument)


def is_place(value: str) -> bool:
    """Return whether it says where a secret lies and not what it is."""
    return bool(_PLACE.fullmatch(value))


def _is_flag(text: str, found: re.Match[str]) -> bool:
    begin = max(0, found.start() - _FLAG_LENGTH)
    named = re.split(r"[\s\"',\[(\\]", text[begin : found.end()].rstrip(" \t\n\\\"',=:>-"))[-1]
    return is_flag(named)


def _says_nothing(value: str, found: re.Match[str]) -> bool:
    """Return whether it is no value: a place, a setting, or the first of several names below it."""
    below = "\n" in (found["sets"] or "") and value.endswith(":")
    return is_place(value) or value in _SETTINGS or below


def _value(text: str, place: int, name: int) -> Span:
    """Return where the value is that begins at `place`."""
    opened = _QUOTE.match(text, place)
    if opened is not None:
        return _quoted(text, opened)
    block = _BLOCK.match(text, place)
    if block is not None:
        return _block(text, block, name)
    plain = _PLAIN.match(text, place)
    return plain.span() if plain is not None else (place, place)


def _quoted(text: str, opened: re.Match[str]) -> Span:
    start, quote = opened.end(), opened[2]
    level = (len(opened[1]) + 1).bit_length() - 1
    bound = start + _QUOTED_LENGTH
    end = text.find(quote, start, bound)
    while end >= 0:
        if level == 0 and quote == "'" and text.startswith("'", end + 1):
            end = text.find(quote, end + 2, bound)  # as YAML writes it in such quotes
            continue
        before = end
        while before > start and text[before - 1] == "\\":
            before -= 1
        if _closes(end - before, level):
            return (start, start) if _NOTHING.fullmatch(text, start, before) else (start, before)
        end = text.find(quote, end + 1, bound)
    line = text.find("\n", start)
    return start, line if line >= 0 else len(text)


def _closes(escapes: int, level: int) -> bool:
    """Return whether a quote after so many backslashes ends a string that is `level` strings deep."""
    while level and escapes % 2:
        escapes, level = escapes // 2, level - 1
    return escapes % 2 == 0


def _block(text: str, block: re.Match[str], name: int) -> Span:
    start = block.end()
    if block["end"] == "\\n":
        # The text of a file within JSON: where the string ends nothing of it is left.
        end = next((place for place in range(start, min(len(text), start + _QUOTED_LENGTH)) if text[place] in '"\n'), 0)
        return start, end or min(len(text), start + _QUOTED_LENGTH)
    indent = _INDENT.match(text, text.rfind("\n", 0, name) + 1)
    deep = len(indent[0]) if indent else 0
    lines = re.compile(rf"(?:[ \t]{{{deep + 1},}}+[^\n]*+(?:\n|\Z)|[ \t]*+\n)*+").match(text, start)
    end = lines.end() if lines else start
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), start + len(inner.rstrip())


def in_urls(text: str) -> Iterator[Span]:
    """Yield where passwords stand in URLs, by rule 5."""
    for found in _ADDRESS.finditer(text):
        place = found.start()
        for part in found[0].split("://")[1:]:
            start = place + 3
            place = start + len(part)
            user = _USER.match(part)
            at = _last_at(part)
            if user is not None and at > user.end() and not _PORT.match(part, user.end()):
                yield start + user.end(), start + at


def _last_at(part: str) -> int:
    at = part.rfind("@")
    return part.rfind("@", 0, at) if at >= 0 and part.startswith("sha256:", at + 1) else at
