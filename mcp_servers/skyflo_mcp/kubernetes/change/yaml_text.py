"""Manifests as text: YAML or JSON into plain objects, strictly and within bounds. Pure.

Rules:
  1. At most `LARGEST` bytes of text; with aliases written out at most `EXPANDED` characters, `DEEPEST` levels deep.
     An alias that leads into itself is refused.
  2. A key that stands twice is refused: which one counts would be a guess. Keys are text.
  3. Only what JSON has: no tags of other types. A date stays the text that it is, and `12:30` is no number.
"""

import json
import math
import re
from collections.abc import Callable, Hashable
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from skyflo_runbooks.model.errors import BadInput

LARGEST = 512 * 1024
EXPANDED = 2 * 2**20
DEEPEST = 60
# None is what PyYAML calls for any other tag: it refuses.
_TAGS = (*(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")), None)
_MERGE = "tag:yaml.org,2002:merge"


if yaml.__with_libyaml__:

    class _Base(Composer, yaml.CSafeLoader):
        """Composes in Python over the fast parser's events, so that depth can be bounded while it is read."""

        def __init__(self, text: str) -> None:
            yaml.CSafeLoader.__init__(self, text)
            Composer.__init__(self)

else:
    _Base = yaml.SafeLoader  # type: ignore[assignment,misc]


class _Loader(_Base):
    """Reads by the rules above."""

    level = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.level += 1
        if self.level > DEEPEST:
            raise _too_deep()
        try:
            return super().compose_node(parent, index)
        finally:
            self.level -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        _no_key_twice(node)
        mapping = super().construct_mapping(node, deep=deep)
        for key in mapping:
            if not isinstance(key, str):
                raise BadInput(f"Line {_line(node)}: {key!r} is no text, and every key is one.", next_step="Quote it.")
        return mapping


_Loader.yaml_constructors = {tag: SafeConstructor.yaml_constructors[tag] for tag in _TAGS}
_Loader.yaml_implicit_resolvers = {}
for _first, _rules in Resolver.yaml_implicit_resolvers.items():
    _Loader.yaml_implicit_resolvers[_first] = [
        (tag, rule) for tag, rule in _rules if tag.rpartition(":")[2] in ("null", "bool", "merge")
    ]
# YAML 1.1's numbers without its base 60, which makes a number of 12:30.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"([-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def documents(text: str) -> list[Any]:
    """Return the documents of a text, empty ones left out; `BadInput` with the line where it cannot be read."""
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise BadInput(f"The manifests are larger than {LARGEST // 1024} KiB.", next_step="Apply them in parts.")
    found = _guarded(lambda: _from_json(text) if text.lstrip().startswith(("{", "[")) else _from_yaml(text))
    for document in found:
        _plain(document)
    return found


def _from_json(text: str) -> list[Any]:
    try:
        return [json.loads(text, object_pairs_hook=_pairs)]
    except json.JSONDecodeError:
        return _from_yaml(text)  # YAML's flow style begins alike


def _from_yaml(text: str) -> list[Any]:
    loader = _Loader(text)
    try:
        found = []
        while loader.check_node():
            node = loader.get_node()
            _weigh(node, {}, set(), 0)
            document = loader.construct_document(node)
            if document is not None:
                found.append(document)
        return found
    finally:
        loader.dispose()


def _guarded(read: Callable[[], list[Any]]) -> list[Any]:
    try:
        return read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise BadInput(f"The manifests are no YAML: {where}{error.problem or error.context}.") from None
    except (yaml.YAMLError, ValueError, UnicodeError) as error:
        raise BadInput(f"The manifests are no YAML: {str(error).splitlines()[0][:200]}.") from None
    except RecursionError:
        raise _too_deep() from None


def _weigh(node: Any, known: dict[int, tuple[int, int]], inside: set[int], depth: int) -> tuple[int, int]:
    """Return how many characters and levels a node has with its aliases written out, by rule 1."""
    if id(node) in inside:
        raise BadInput("An alias leads into itself.", next_step="Write it out.")
    weight, height = known.get(id(node), (0, 0))
    if not weight:
        if depth > DEEPEST:
            raise _too_deep()
        inside.add(id(node))
        weight, height = 1, 1
        for child in _children(node):
            more, below = _weigh(child, known, inside, depth + 1)
            weight, height = weight + more, max(height, below + 1)
        weight += len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        inside.discard(id(node))
        known[id(node)] = (weight, height)
    if weight > EXPANDED:
        raise BadInput("With its aliases written out this is too large.", next_step="Write out what is meant.")
    if depth + height > DEEPEST + 1:
        raise _too_deep()
    return weight, height


def _children(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _no_key_twice(node: Any) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
            if key.value in seen:
                raise _twice(key.value, f"Line {_line(key)}: ")
            seen.add(key.value)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _twice(key)
        found[key] = value
    return found


def _plain(value: Any, depth: int = 0) -> None:
    """Refuse what JSON or the API server cannot hold."""
    if depth > DEEPEST:
        raise _too_deep()
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput(f"{value} is no number that JSON has.", next_step="Quote it, if text is meant.")
    if isinstance(value, int) and abs(value) > 2**63 - 1:
        raise BadInput("A whole number is larger than 64 bits.", next_step="Quote it, if text is meant.")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _plain(inner, depth + 1)


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _twice(key: Hashable, where: str = "") -> BadInput:
    return BadInput(f"{where}{str(key)[:80]!r} stands twice in one object.", next_step="Leave one of them.")


def _too_deep() -> BadInput:
    return BadInput(f"The manifests are nested deeper than {DEEPEST} levels.")
