"""Which arguments of a proposal can be modified."""

from skyflo_runbooks.service.pages.form import changeable, fields
from tests.pages.views import view


def test_nested_scalars_are_named_by_their_path() -> None:
    """Limits and requests are found, what names the object is not."""
    arguments = {"kind": "Deployment", "name": "web", "replicas": 3, "limits": {"memory": "1Gi"}, "images": ["a"]}
    assert changeable(arguments) == [("replicas", 3), ("limits.memory", "1Gi")]


def test_each_type_has_its_field() -> None:
    """Numbers stay numbers and flags become a choice, so that what is sent has the type it had."""
    said = fields(view(arguments={"replicas": 3, "paused": False, "image": "a:1"}))
    assert 'data-name="replicas" data-type="number" data-was="3"' in said
    assert 'data-name="paused" data-type="bool" data-was="false"' in said
    assert 'data-name="image" data-type="str" data-was="a:1"' in said


def test_nothing_to_modify_makes_no_form() -> None:
    """A restart has no arguments but its object."""
    assert fields(view(arguments={"kind": "Deployment", "name": "web"})) == ""
