"""Values that an operator types: found, named and put in their place."""

from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.model.entry import ENTRY, filled, key, open_entries
from skyflo_runbooks.model.json import Json

_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text("xy«", max_size=3), st.just(ENTRY))
_NAMES = st.text("ab~/.", max_size=4)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=3)),
    max_leaves=8,
)


def test_an_entry_is_named_by_its_pointer() -> None:
    """Keys with dots and slashes keep their names; what only holds the mark among other words is none."""
    values = {"tls.crt": ENTRY, "a/b": ENTRY, "plain": "x", "said": f"type {ENTRY}"}
    assert open_entries({"name": "db", "values": values}) == ("/values/tls.crt", "/values/a~1b")
    assert [key(pointer) for pointer in ("/values/tls.crt", "/values/a~1b", "/values/~01")] == ["tls.crt", "a/b", "~1"]


def test_an_entry_that_is_not_named_stays_open() -> None:
    """Half of the entries leave the other half to be asked for."""
    given_ = {"values": {"one": ENTRY, "two": ENTRY}}
    half = filled(given_, {"/values/one": "«masked:0123456789ab»", "/values/other": "x"})
    assert half == {"values": {"one": "«masked:0123456789ab»", "two": ENTRY}}
    assert open_entries(half) == ("/values/two",)


@given(arguments=st.dictionaries(_NAMES, _TREES, max_size=3))
def test_filling_every_open_entry_leaves_none(arguments: Json) -> None:
    """Whatever the arguments are; and filling none changes nothing."""
    pointers = open_entries(arguments)
    assert len(set(pointers)) == len(pointers)
    assert open_entries(filled(arguments, dict.fromkeys(pointers, "typed"))) == ()
    assert filled(arguments, {}) == arguments
