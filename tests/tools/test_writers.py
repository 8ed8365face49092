"""What a list keeps of who changed its objects: in little, and only where it is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.writers import writers

from skyflo_runbooks.model.json import Json

WROTE: Json = {
    "manager": "kubectl-edit",
    "operation": "Update",
    "apiVersion": "v1",
    "time": "2026-05-04T10:00:00Z",
    "fieldsType": "FieldsV1",
    "fieldsV1": {
        "f:metadata": {"f:labels": {"f:team": {}}},
        "f:spec": {"f:selector": {"f:app": {}}, "f:ports": {'k:{"port":80}': {".": {}}}},
    },
}


def test_who_when_and_which_fields_are_kept_two_levels_deep() -> None:
    """What lies deeper, and how the entry is written, is not."""
    assert writers([WROTE]) == [
        {
            "manager": "kubectl-edit",
            "operation": "Update",
            "time": "2026-05-04T10:00:00Z",
            "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}, "f:spec": {"f:selector": {}, "f:ports": {}}},
        }
    ]


@pytest.mark.parametrize(
    "entry",
    [
        {**WROTE, "subresource": "status"},
        {**WROTE, "fieldsV1": {"f:status": {"f:phase": {}}}},
        {**WROTE, "fieldsV1": {"f:metadata": {"f:labels": {}}}},
        {**WROTE, "fieldsV1": {}},
        {**WROTE, "fieldsV1": 3},
        "no entry",
    ],
)
def test_status_and_metadata_alone_are_not_kept(entry: object) -> None:
    """Nor what is no entry at all."""
    assert writers([entry]) == []


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_anything_can_stand_there(value: object) -> None:
    """A server of another kind breaks no list."""
    assert isinstance(writers(value), list)


async def test_a_list_has_them_where_it_is_asked(flagship: Cluster) -> None:
    """Without asking nothing is kept, as it was."""
    plain = await flagship.list("Deployment", "checkout")
    dated = await flagship.list("Deployment", "checkout", changes=True)

    assert all("managedFields" not in item["metadata"] for item in plain.items)
    assert all(entry["time"] for item in dated.items for entry in item["metadata"]["managedFields"])
