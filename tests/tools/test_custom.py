"""Custom resources are read like any other kind: listed with their own columns, described, explained, waited for."""

import pytest
from skyflo_mcp.kubernetes import NotFound

from skyflo_runbooks.model.json import Json
from tests.tools.test_reads import ask, column
from tests.tools.worlds import World

GROUP = "reads.skyflo.dev"
SCHEMA: Json = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "description": "What is wanted.",
            "properties": {
                "size": {"type": "integer", "description": "How many.", "minimum": 1},
                "colour": {"type": "string", "enum": ["red", "green"]},
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
DEFINITION: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"lamps.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "Lamp", "plural": "lamps", "singular": "lamp", "shortNames": ["lp"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": SCHEMA},
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
            }
        ],
    },
}
LAMP: Json = {
    "apiVersion": f"{GROUP}/v1",
    "kind": "Lamp",
    "metadata": {"name": "desk"},
    "spec": {"size": 3, "colour": "green"},
    "status": {"conditions": [{"type": "Lit", "status": "True", "reason": "Switched", "message": "by hand"}]},
}


@pytest.mark.control_plane
async def test_a_custom_resource_is_read_like_any_other_kind(real_world: World) -> None:
    """As soon as its definition is established."""
    cluster, where = real_world.cluster, {"kind": "lp", "namespace": real_world.namespace}
    await real_world.create(DEFINITION)
    defined = {"kind": "CustomResourceDefinition", "name": f"lamps.{GROUP}"}
    assert (await ask(cluster, "k8s_wait", **defined, until="Established", seconds=20))["met"] is True

    async def made() -> bool:
        cluster._discovery._known_since = float("-inf")  # a kind that is a moment old
        try:
            await real_world.create(LAMP)
        except NotFound:
            return False
        return True

    await real_world.until("the new kind is served", made)
    listed = await ask(cluster, "k8s_get", **where)
    assert (listed["kind"], column(listed, "NAME"), column(listed, "SIZE")) == ("Lamp", ["desk"], [3])
    one = await ask(cluster, "k8s_describe", **where, name="desk")
    assert one["conditions"]["rows"][0][:3] == ["Lit", "True", "Switched"]
    assert (await ask(cluster, "k8s_wait", **where, name="desk", until="Lit"))["met"] is True
    assert column(await ask(cluster, "k8s_api_resources", group=GROUP), "KIND") == ["Lamp"]
    assert GROUP in (await ask(cluster, "k8s_cluster_info"))["added_groups"]

    async def explained() -> bool:
        answer = await ask(cluster, "k8s_explain", kind="Lamp", field="spec")
        return bool(column(answer["fields"], "FIELD") == ["colour", "size"])

    await real_world.until("the server describes it", explained)
    size = await ask(cluster, "k8s_explain", kind="lamps", field="spec.size")
    assert (size["type"], size["required"], size["description"]) == ("integer", True, "How many.")
    colour = await ask(cluster, "k8s_explain", kind="lamps", field="spec.colour")
    assert colour["choices"] == ["red", "green"]
