"""Faults that one real node shows: a kubelet, a container runtime and a registry say them, nobody plays them.

A family's file in `node/` has these parts:

    images   what the node's registries hold, as in a scenario file: what each image needs and how its process behaves
    private, untrusted, foreign, users  what is special about a registry's host or an image, as in `images.Stock`
    cases    the faults, as in every other family's file (`staging.Case`)

What the case calls its image decides what the registry answers; a reference that no family's `images` has is not found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import scenario
from tests.faults.staging import Case
from tests.real_node.images import Stock
from tests.real_node.programs import Program

_FOLDER = Path(__file__).parent / "node"


@dataclass(frozen=True)
class Family:
    """Cases, and what the registries of their node hold."""

    cases: tuple[Case, ...]
    stock: Stock


def families() -> list[str]:
    """Return the families that have a file."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def load(names: Iterable[str]) -> Family:
    """Return the cases of these families, and what the registries hold for all of them.

    Raises:
        ValueError: two families say different things of one image.
    """
    told: list[Json] = [yaml.safe_load((_FOLDER / f"{name}.yaml").read_text()) for name in families()]
    wanted = [
        Case(**case) for name, one in zip(families(), told, strict=True) if name in set(names) for case in one["cases"]
    ]
    held: dict[str, Program] = {}
    for image in (image for one in told for image in images(one.get("images", []))):
        if held.setdefault(image.image, image) != image:
            raise ValueError(f"expected one behaviour of the image {image.image}; two families say different ones")
    untrusted = frozenset(host for one in told for host in one.get("untrusted", []))
    special = {what: _together(told, what) for what in ("private", "foreign", "users")}
    return Family(tuple(wanted), Stock(tuple(held.values()), untrusted=untrusted, **special))


def _together(told: list[Json], what: str) -> Json:
    return {key: value for one in told for key, value in one.get(what, {}).items()}


def images(written: list[Json]) -> tuple[Program, ...]:
    """Read images that are written as in a scenario file, with what only a real node can show (`Program`)."""
    return msgspec.convert(written, tuple[Program, ...], dec_hook=scenario.read)
