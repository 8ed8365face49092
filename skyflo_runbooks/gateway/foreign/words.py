"""What somebody else's server says, as data. Pure.

Rules:
  1. Text has no terminal escapes, no control and no invisible characters. A mark that looks like one of the gateway's
     own masked values is none.
  2. A description is cut, and says whose words it is. Of an argument's schema only what says how to call the tool
     stays.
  3. An answer says whose it is and is nested in that, so that it can be taken for nothing else. Text that is JSON is
     passed on as JSON, because a secret is found there by its name. What is no text is told by its kind.
  4. What the server was given as a secret is hidden wherever it stands in its words.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from skyflo_mcp.foreign.connection import Said

from skyflo_runbooks.gateway.redaction import MARK
from skyflo_runbooks.model.entry import ENTRY
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.notebook.text import clean, shorten

HIDDEN = "«hidden»"
DEEPEST = 60
_LONGEST_DESCRIPTION = 1000
_LONGEST_ARGUMENT = 200
_MOST_ARGUMENTS = 60
_SHORTEST_SECRET = 4
# Every character of category Cf that `clean` leaves: format characters, and the tags in which text can be smuggled.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200d\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_KEPT_RULES = ("type", "enum", "default", "minimum", "maximum", "items", "required", "properties", "anyOf")


def plain(text: str) -> str:
    """Return text by rule 1."""
    shown = _INVISIBLE.sub("", clean(text))
    return MARK.sub("(a mark of its own)", shown).replace(ENTRY, "(entry)")


def line(text: str, limit: int) -> str:
    """Return text by rule 1 on one line, cut."""
    return shorten(" ".join(plain(text[: 4 * limit]).split()), limit)


def hiding(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return what hides these values in a text."""
    known = sorted((one for one in secrets if len(one) >= _SHORTEST_SECRET), key=len, reverse=True)

    def hide(text: str) -> str:
        for value in known:
            text = text.replace(value, HIDDEN)
        return text

    return hide


def description(server: str, text: str) -> str:
    """Return a tool's description, in quotes and with whose it is."""
    said = line(text, _LONGEST_DESCRIPTION)
    return f"A read of the MCP server {server}, which describes it so: “{said}”"


def arguments_schema(schema: Json) -> Json:
    """Return what says how a tool is called, by rule 2."""
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    kept = dict(list(known.items())[:_MOST_ARGUMENTS])
    shown = {line(str(name), 64): _rule(rule, 0) for name, rule in kept.items()}
    needed = schema.get("required")
    required = [line(one, 64) for one in needed if isinstance(one, str)] if isinstance(needed, list) else []
    return {"type": "object", "properties": shown, "required": [one for one in required if one in shown]}


def _rule(rule: Any, depth: int) -> Any:
    if isinstance(rule, str):
        return line(rule, _LONGEST_ARGUMENT)
    if isinstance(rule, list):
        return [_rule(one, depth + 1) for one in rule[:_MOST_ARGUMENTS]] if depth < 8 else []
    if not isinstance(rule, dict):
        return rule
    if depth >= 8:
        return {}
    kept = {key: value for key, value in rule.items() if key in (*_KEPT_RULES, "description")}
    if isinstance(kept.get("properties"), dict):
        kept["properties"] = {line(str(k), 64): _rule(v, depth + 1) for k, v in kept["properties"].items()}
    return {key: value if key == "properties" else _rule(value, depth + 1) for key, value in kept.items()}


def answer(server: str, tool: str, said: Said, hide: Callable[[str], str]) -> Json | None:
    """Return an answer by rules 1, 3 and 4; None where it is nested too deeply."""
    content = _content(said)
    if depth_over(content, DEEPEST):
        return None
    more: Json = {"left_out": [line(one, 40) for one in said.others[:20]]} if said.others else {}
    return {"server": server, "tool": tool, "answer": _shown(content, hide), **more}


def _content(said: Said) -> Any:
    """Return what was answered: its structure, or its text; FastMCP wraps what is no object in `result`."""
    if said.structured is not None:
        wrapped = isinstance(said.structured, dict) and set(said.structured) == {"result"}
        inner = said.structured["result"] if wrapped else said.structured
        return _structured(inner) if isinstance(inner, str) else inner
    found = [_structured(text) for text in said.texts]
    return found[0] if len(found) == 1 else found


def _structured(text: str) -> Any:
    """Return the object or list that a text is as JSON; any other text as it is."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return text


def _shown(value: Any, hide: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return plain(hide(value))
    if isinstance(value, list):
        return [_shown(one, hide) for one in value]
    if isinstance(value, dict):
        return {plain(hide(str(key))): _shown(one, hide) for key, one in value.items()}
    return value


def depth_over(value: Any, limit: int) -> bool:
    """Return whether a value is nested more deeply than `limit`; its depth costs no stack."""
    level = [value]
    for _ in range(limit):
        level = [
            one for each in level if isinstance(each, list | dict)
            for one in (each.values() if isinstance(each, dict) else each)
        ]  # fmt: skip
        if not level:
            return False
    return True
