"""Which secret values a proposal knows, and how none of them is shown. Pure.

Rules:
  1. Known are the values of the Secret as it is, as it will be, and as the request says them: in `data` both as they
     stand there (base64) and decoded, in `stringData`, and kubectl's copy of the whole in an annotation. A label or
     another annotation that is set on a Secret is no value: who approves has to see it.
  2. Known, too, is what the redactor takes for secret in any object: a variable named like a password keeps its value
     apart from its name, in a line of a diff or in an operation of a patch, where nothing but the value tells.
  3. Wherever one of them stands in what is shown of the proposal it is replaced by its mark, as a whole word or within
     another text. The body of a request on a Secret shows no value at all, however short.
  4. Admission, a webhook or the API server may quote any of them. So they are learnt as soon as the object was read
     (`learn`), and whatever the cluster says goes through `Redactor.error`: into a card, a receipt, the record.
"""

import base64
import binascii
from collections.abc import Iterable
from typing import Any

from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import Request

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MASKED = "(masked)"


def values_of(request: Request, *manifests: Json | None) -> frozenset[str]:
    """Return the secret values that a request and the manifests of its object hold; none where it is no Secret."""
    if request.target.kind != "Secret":
        return frozenset()
    found: set[str] = set()
    for manifest in (*manifests, request.body):
        if isinstance(manifest, list):
            found.update(text for operation in manifest for text in _texts(_held(operation)))
        elif isinstance(manifest, dict):
            found.update(_texts([manifest.get("data"), manifest.get("stringData")]))
            found.update(_texts(at(manifest, "metadata", "annotations", _LAST_APPLIED)))
    return frozenset(found | {plain for text in found if (plain := _decoded(text))})


def learn(redactor: Redactor, request: Request, *manifests: Json | None) -> None:
    """Have the redactor know every secret value that a request and the manifests of its object hold, by rule 4."""
    redactor.learn(values_of(request, *manifests) | redactor.secrets_in([request.body, *manifests]))


def shown_body(request: Request, hide: "Hiding") -> Any:
    """Return the body of a request as it may be shown and kept, by rule 3."""
    if request.target.kind == "Secret" and isinstance(request.body, list):
        return [{**one, "value": MASKED} if "value" in one else one for one in request.body]
    if request.target.kind == "Secret" and isinstance(request.body, dict):
        return hide.mask({**request.body, "kind": "Secret"} if request.verb == "patch" else request.body)
    return hide.mask(request.body)


class Hiding:
    """The redactor of one proposal, which also hides the values that it knows, under marks of its `place`."""

    def __init__(self, redactor: Redactor, values: Iterable[str] = (), place: str = "") -> None:
        self._redactor = redactor
        self._marks = {value: redactor.reference(value, place) for value in values if value}

    def text(self, text: str) -> str:
        """Return text with secrets in it masked."""
        return self._redactor.text(self._redactor.literally(text, self._marks))

    def mask(self, value: Any) -> Any:
        """Return a value with secrets in it masked."""
        return self._redactor.mask(self._deep(value) if self._marks else value)

    def _deep(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redactor.literally(value, self._marks)
        if isinstance(value, list | tuple):
            return [self._deep(item) for item in value]
        if isinstance(value, dict):
            return {key: self._deep(item) for key, item in value.items()}
        return value


def _held(operation: Json) -> Any:
    """Return what an operation on a Secret may hold of its values: all but a label and an annotation of its own."""
    match str(operation.get("path", "")).split("/")[1:]:
        case ["metadata", "labels", *_]:
            return None
        case ["metadata", "annotations", name] if name != _LAST_APPLIED.replace("/", "~1"):
            return None
        case ["metadata", "annotations"]:
            return at(operation, "value", _LAST_APPLIED)
    return operation.get("value")


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
