"""The families of the real node: their cases, and one registry for all of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from skyflo_runbooks.practice.scenario import Image
from tests.faults import kubelets

_IMAGE = "{image: 'cart:v1', memory: {start: 1Mi, peak: %s}}"
_CASE = "{fault: %s, namespace: %s, finds: Deployment/x/y}"


def _write(folder: Path, name: str, peak: str, fault: str) -> None:
    text = f"images: [{_IMAGE % peak}]\ncases: [{_CASE % (fault, name)}]\n"
    (folder / f"{name}.yaml").write_text(text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of families of its own."""
    monkeypatch.setattr(kubelets, "_FOLDER", tmp_path)
    return tmp_path


def test_a_family_brings_its_cases_and_every_image(folder: Path) -> None:
    """The registry is one: an image of another family can be pulled, too; one that both have is there once."""
    _write(folder, "ends", "2Mi", "CON-05")
    _write(folder, "starts", "2Mi", "CON-01")
    found = kubelets.load(["starts"])

    assert kubelets.families() == ["ends", "starts"]
    assert [case.fault for case in found.cases] == ["CON-01"]
    assert [(image.image, image.memory.peak) for image in found.stock.images] == [("cart:v1", 2 * 2**20)]


def test_one_image_behaves_in_one_way(folder: Path) -> None:
    """Two families that say different things of one reference are told so."""
    _write(folder, "ends", "2Mi", "CON-05")
    _write(folder, "starts", "3Mi", "CON-01")
    with pytest.raises(ValueError, match="cart:v1"):
        kubelets.load(["starts"])


def test_each_case_names_what_it_finds_in_a_namespace_of_its_own() -> None:
    """All cases are staged at once, and none may be a part of another."""
    cases = kubelets.load(kubelets.families()).cases

    assert len({case.namespace for case in cases}) == len(cases)
    assert all(case.finds.split("/")[1] == case.namespace for case in cases)


def test_images_are_read_as_a_scenario_file_has_them() -> None:
    """Sizes and durations in their own spelling; a field that no image has is refused by name."""
    (image,) = kubelets.images([{"image": "a:1", "memory": {"start": "1Mi", "peak": "2Mi"}, "listens_after": "0.5s"}])

    assert isinstance(image, Image)
    assert (image.memory.peak, image.listens_after) == (2 * 2**20, 0.5)
    with pytest.raises(msgspec.ValidationError, match="colour"):
        kubelets.images([{"image": "a:1", "memory": {"start": "1Mi", "peak": "2Mi"}, "colour": "red"}])
