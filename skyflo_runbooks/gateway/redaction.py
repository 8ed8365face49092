"""Masks secret values before anything leaves the gateway.

What is masked, wherever it stands in a result, an argument, an error or a log line:
  1. the data of Secrets, and the annotation in which `kubectl apply` repeats it
  2. a literal environment variable, or any member of an object, whose name says that it is secret
  3. in text: assignments to such names, arguments of such flags and user:password in URLs (`spelled`), Authorization
     headers, JSON web tokens, well-known token shapes, private keys; also of those that a cut has left half of

A masked value travels as `«masked:REFERENCE»`. The reference is an HMAC, under a key of this process, of the value and
of the object that it stands in: it stays the same there, and does not tell that another object has the same value.
What stands in no object, and what is masked because it equals a value that is known, has the reference of no place.
`resolve` gives the value back inside the gateway, and only there. A value that was given back is masked literally from
then on, wherever it stands: a mark may be moved to a place that does not look secret, and what the API server says of
it is shown.
"""

import hmac
import itertools
import json
import re
import secrets
from collections.abc import Iterable
from typing import Any

from skyflo_mcp.kubernetes.pem import key_lines

from skyflo_runbooks.gateway import spelled
from skyflo_runbooks.model.entry import ENTRY
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json

MARK = re.compile(r"«masked:([0-9a-f]{12})»")
# What read tools and diffs say of a Secret's value. A reference to it could be taken for one to the value.
_SAID = re.compile(r"\(\d+ bytes\)|\(masked\)|\(changed\)")
# Shorter values are no secrets, and masking them literally would hide every other word.
_SHORTEST = 4
# So many characters at the beginning of a value that was given back are taken for it.
_CUT = 6
# What stands beside a mark and is shorter is punctuation.
_PIECE = 3
# In so many places each value may stand, on average, and every mark of it be resolved.
_PLACES = 5
# A line of a private key is no shorter.
_LINE = 60
_SECRET_NAME = re.compile(rf"(?:^|[_.-]|[a-z](?=[A-Z]))(?:{spelled.NAME})$", re.IGNORECASE)
# Names of references to Secrets and of settings about tokens are not values, but where somebody names his own data.
_NOT_A_VALUE = {"secret", "imagePullSecret", "automountServiceAccountToken", "continue", "token"}
_DATA = ("data", "binaryData", "stringData")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# Of each the beginning says whether it is one, or there is a bound: what comes before a name is not part of it. Whoever
# writes a log could stop the gateway with a pattern that looks through the rest of a text from every place in it.
_TEXT = (
    re.compile(r"(?P<keep>-----BEGIN [A-Z ]*PRIVATE KEY-----)(?P<value>.*?)(?=-----END|\Z)", re.DOTALL),
    re.compile(
        r"(?P<keep>\bAuthorization\\*[\"']?\s*+[:=]\s*+\\*[\"']?(?:Bearer|Basic)\s+)(?P<value>[^\s\"',\\]+)",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<keep>)(?P<value>\beyJ[\w-]{8,}(?:\.[\w-]*){0,2})"),
    re.compile(r"(?P<keep>)(?P<value>\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{30,}|xox[abprs]-[\w-]{10,}|sk-[\w-]{20,}))"),
    re.compile(r"(?P<keep>)(?P<value>\b(?:glpat-[\w-]{20,}|npm_[A-Za-z0-9]{30,}|AIza[\w-]{35,}))"),
    re.compile(r"(?P<keep>\bhooks\.slack\.com/services/)(?P<value>[\w/]{8,})"),
    # The user and password of a registry, as Docker's configuration writes them.
    re.compile(r"(?P<keep>\bauth\\{0,8}\"\s{0,9}:\s{0,9}\\{0,8}\")(?P<value>[A-Za-z0-9+/=_-]{12,})"),
    # Where a text ends, the beginning of one. Those that are longer were found above.
    re.compile(
        r"(?P<keep>)(?P<value>\b(?:AKIA[0-9A-Z]{2,15}|gh[pousr]_\w{4,29}|xox[abprs]-[\w-]{2,9}|sk-[\w-]{6,19}))(?=…|\Z)"
    ),
    re.compile(r"(?P<keep>)(?P<value>\b(?:glpat-[\w-]{4,19}|npm_[A-Za-z0-9]{16,29}|AIza[\w-]{8,34}))(?=…|\Z)"),
)


class Redactor:
    """Masks values and remembers, in memory only, what each reference stands for."""

    def __init__(self, *, capacity: int = 20_000) -> None:
        self._key = secrets.token_bytes(32)
        # What each mark stands for, and the mark of no place of each value.
        self._known: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._place = ""
        self._given: dict[str, str] = {}
        self._capacity = capacity
        self._noticed: set[str] | None = None

    def mask(self, value: Any) -> Any:
        """Return `value` with every secret in it masked; the input is left as it is."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self._item(before, item) for before, item in zip((None, *value), value, strict=False)]
        if isinstance(value, dict):
            return self._mapping(value)
        return value

    def text(self, text: str) -> str:
        """Return text with secrets in it masked."""
        text = self.literally(text, self._given)
        text = self._within(_TEXT[0], text)
        for spans in (spelled.assigned, spelled.in_urls):
            text = self._spans(text, spans(text))
        for pattern in _TEXT[1:]:
            text = self._within(pattern, text)
        return self._without_keys(text) if len(text) > _LINE else text

    def _within(self, pattern: re.Pattern[str], text: str) -> str:
        return pattern.sub(lambda found: found["keep"] + self._hidden(found["value"]), text)

    def _spans(self, text: str, spans: Iterable[spelled.Span]) -> str:
        parts, done = list[str](), 0
        for start, end in spans:
            parts += text[done:start], self._hidden(text[start:end])
            done = end
        return "".join((*parts, text[done:]))

    def _hidden(self, value: str) -> str:
        """Return what stands for a value of which parts may be masked already: a mark within a mark is not resolved."""
        if MARK.search(value) is None:
            return self.reference(value)
        ends = [0, *(place for found in MARK.finditer(value) for place in found.span()), len(value)]
        pieces = [value[start:end] for start, end in itertools.pairwise(ends)]
        return "".join(self.reference(one) if len(one) >= _PIECE else one for one in pieces)

    def _item(self, before: Any, item: Any) -> Any:
        """Return an item of a list masked; after a flag that is named like a secret all of it."""
        hidden = isinstance(before, str) and isinstance(item, str) and spelled.is_flag(before)
        if hidden and not item.startswith("-") and not spelled.is_place(item):
            return self.reference(item)
        return self.mask(item)

    def _without_keys(self, text: str) -> str:
        """Return text with the lines of private keys masked whose block begins, or ends, outside of it."""
        lines = text.splitlines(keepends=True)
        for place, start, end in list(key_lines(lines)):
            line = lines[place]
            lines[place] = line[:start] + self.reference(line[start:end]) + line[end:]
        return "".join(lines)

    def error(self, text: str) -> str:
        """Return what somebody else said, which may quote any value that was ever masked, with all of them masked."""
        whole = self.literally(text, self._values)
        return self.text(_cut_off(_beginnings(whole, self._given), self._values))

    def literally(self, text: str, marks: dict[str, str]) -> str:
        """Return text with each value replaced by its mark: as it is, as JSON writes it, and line by line."""
        return _literally(text, marks)

    def reference(self, value: str, place: str | None = None) -> str:
        """Return the mark under which `value` travels: of `place`, of the object that is being masked, or of none."""
        if MARK.fullmatch(value) or _SAID.fullmatch(value) or value in ("", ENTRY):
            return value
        if self._noticed is not None:
            self._noticed.add(value)
        if value not in self._values:
            _make_room(self._values, self._capacity)
            self._values[value] = self._mark(value, "")
        return self._mark(value, self._place if place is None else place)

    def _mark(self, value: str, place: str) -> str:
        mark = hmac.new(self._key, f"{place}\0{value}".encode(), "sha256").hexdigest()[:12]
        if mark not in self._known:
            _make_room(self._known, self._capacity * _PLACES)
            self._known[mark] = value
        return f"«masked:{mark}»"

    def secrets_in(self, value: Any) -> frozenset[str]:
        """Return every value that `mask` would mask in `value`."""
        noticed: set[str] = set()
        self._noticed = noticed
        self.mask(value)
        self._noticed = None
        return frozenset(noticed)

    def learn(self, values: Iterable[str]) -> None:
        """Know secret values, so that what somebody else says of them is masked."""
        for value in values:
            self.reference(value)

    def resolve(self, value: Any) -> Any:
        """Return `value` with each mark replaced by what it stands for; an unknown mark is `BadInput`."""
        if isinstance(value, str):
            return MARK.sub(self._known_value, value)
        if isinstance(value, list | tuple):
            return [self.resolve(item) for item in value]
        if isinstance(value, dict):
            return {key: self.resolve(item) for key, item in value.items()}
        return value

    def _known_value(self, found: re.Match[str]) -> str:
        value = self._known.get(found[1])
        if value is None:
            raise BadInput(
                f"The masked value {found[0]} is not known to this gateway any more.",
                next_step="Run the read step again that showed it.",
            )
        self._given[value] = self._mark(value, "")
        return value

    def _mapping(self, value: Json) -> Json:
        outside = self._place
        self._place = f"{outside}>{place}" if (place := _place_of(value)) else outside
        try:
            return self._masked(value)
        finally:
            self._place = outside

    def _masked(self, value: Json) -> Json:
        if value.get("kind") == "Secret" and ("data" in value or "stringData" in value or "metadata" in value):
            return self._secret(value)
        if isinstance(value.get("name"), str) and isinstance(value.get("value"), str) and says_secret(value["name"]):
            return {**{k: self.mask(v) for k, v in value.items()}, "value": self.reference(value["value"])}
        return self._members(value)

    def _members(self, value: Json) -> Json:
        masked: Json = {}
        for key, item in value.items():
            hidden = isinstance(item, str) and key not in _NOT_A_VALUE and says_secret(key)
            if key in _DATA and isinstance(item, dict):
                masked[key] = {name: self._datum(name, one) for name, one in item.items()}
            else:
                masked[key] = self.reference(item) if hidden else self.mask(item)
        return masked

    def _datum(self, name: str, value: Any) -> Any:
        return self.reference(value) if isinstance(value, str) and says_secret(name) else self.mask(value)

    def _secret(self, secret: Json) -> Json:
        masked = self._members({key: item for key, item in secret.items() if key not in ("data", "stringData")})
        for member in ("data", "stringData"):
            if isinstance(secret.get(member), dict):
                masked[member] = {key: self.reference(str(item)) for key, item in secret[member].items()}
        annotations = (masked.get("metadata") or {}).get("annotations") or {}
        if _LAST_APPLIED in annotations:
            annotations[_LAST_APPLIED] = self.reference(str(annotations[_LAST_APPLIED]))
        return masked


def _make_room(kept: dict[str, str], capacity: int) -> None:
    """Forget the oldest where no more is kept."""
    if len(kept) >= capacity:
        kept.pop(next(iter(kept)))


def _place_of(value: Json) -> str:
    """Return which object a mapping is, or is about; nothing where it does not say so."""
    metadata = value.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("name"), str):
        return f"{value.get('kind')}/{metadata.get('namespace')}/{metadata['name']}"
    said = [one for one in (value.get("object"), value.get("pod"), value.get("container")) if isinstance(one, str)]
    return "/".join(said)


def _literally(text: str, marks: dict[str, str]) -> str:
    for value in sorted(marks, key=len, reverse=True):
        for form in {*_forms(value), *value.splitlines()}:
            if len(form) >= _SHORTEST and form in text:
                text = text.replace(form, marks[value])
    return text


def _forms(value: str) -> set[str]:
    """Return how a value can be quoted: as it is, as JSON and as Python write it."""
    return {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}


def _beginnings(text: str, marks: dict[str, str]) -> str:
    """Return text with what is the beginning of a value replaced by its mark: a message cuts what it quotes."""
    for value, mark in marks.items():
        for form in _forms(value):
            start = text.find(form[:_CUT]) if len(form) > _CUT else -1
            while start >= 0:
                end = start + _shared(form, text[start:])
                text = text[:start] + mark + text[end:]
                start = text.find(form[:_CUT], start + len(mark))
    return text


def _cut_off(text: str, marks: dict[str, str]) -> str:
    """Return text with a value's beginning masked where the text ends in the midst of it: what is long is cut."""
    end = text.rstrip("….")
    for value, mark in marks.items():
        start = end.rfind(value[:_CUT]) if len(value) > _CUT else -1
        if start >= 0 and len(end) - start < len(value) and value.startswith(end[start:]):
            return f"{end[:start]}{mark}"
    return text


def _shared(first: str, second: str) -> int:
    """Return how many characters two texts begin with alike."""
    length = min(len(first), len(second))
    return next((place for place in range(length) if first[place] != second[place]), length)


def says_secret(name: str) -> bool:
    """Return whether a name says that its value is secret."""
    return bool(_SECRET_NAME.search(name))
