"""The other repairs: their values come from evidence, and secrets stay where they are."""

import copy

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.diagnosis.snapshot import Load, Usage
from skyflo_runbooks.model.plan import ChangeStep
from tests.diagnosis import world
from tests.planning.tries import change_of, checks_of, planned, prose_of, value_of


async def test_a_variable_comes_back_by_reference() -> None:
    """The key of the Secret is named, its value never read."""
    made = await planned(world.missing_variable())

    assert change_of(made).arguments["set"] == {"LEDGER_URL": {"secret": "ledger", "key": "url"}}
    assert checks_of(made)["env_set"]["variable"] == "LEDGER_URL"
    assert [item.tool for item in made.alternatives] == ["k8s_rollout_undo"]


async def test_a_variable_comes_back_from_its_config_map() -> None:
    """As from a Secret."""
    source = {"configMapKeyRef": {"name": "settings", "key": "ledger"}}
    made = await planned(world.missing_variable(before={"name": "LEDGER_URL", "valueFrom": source}))

    assert change_of(made).arguments["set"] == {"LEDGER_URL": {"configmap": "settings", "key": "ledger"}}


async def test_a_harmless_literal_is_a_parameter() -> None:
    """A value that is no secret can be seen and changed before it is approved."""
    made = await planned(world.missing_variable(before={"name": "LEDGER_URL", "value": "http://ledger:8080"}))

    assert change_of(made).arguments["set"] == {"LEDGER_URL": {"$param": "value"}}
    assert value_of(made, "value") == "http://ledger:8080"


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        ("https://me:hunter2@ledger", "hunter2"),
        ("8f3b2c9d7e6a5f4b3c2d1e0f9a8b7c6d", "8f3b2c9d7e6a5f4b3c2d1e0f9a8b7c6d"),
    ],
)
async def test_a_literal_that_looks_secret_comes_back_by_rolling_back(value: str, secret: str) -> None:
    """Nothing of the plan holds the value; the revision before does."""
    made = await planned(world.missing_variable(before={"name": "LEDGER_URL", "value": value}))

    assert change_of(made).id == "roll_back"
    assert secret.encode() not in msgspec.json.encode(made)
    assert "looks like a secret" in prose_of(made)


async def test_a_value_that_nobody_knows_is_not_invented() -> None:
    """The plan reads and says who has to be asked."""
    made = await planned(world.missing_variable(before={"name": "OTHER_SETTING", "value": "1"}))

    assert not any(isinstance(step, ChangeStep) for step in made.steps)
    assert "its value has to come from whoever knows it" in prose_of(made)


async def test_the_image_is_a_parameter_and_is_checked() -> None:
    """The tag that existed before, and only pods with it at the end."""
    made = await planned(world.wrong_image())

    assert value_of(made, "image") == "payment-svc:v2.4.0"
    assert checks_of(made)["image_running"]["image"] == {"$param": "image"}
    assert change_of(made).arguments["images"] == {"payment-service": {"$param": "image"}}


async def test_a_selector_label_too_many_is_taken_away() -> None:
    """A merge patch says null for what must go, and names nothing else."""
    found = world.healthy()
    found.objects["Service"] = [world.service(world.Names(), {"app": "payment-service", "version": "v2"})]

    made = await planned(found)

    assert change_of(made).arguments["patch"] == {"spec": {"selector": {"version": None}}}
    assert checks_of(made)["field_equals"]["path"] == "/spec/selector/app"
    assert "endpoints_ready" in checks_of(made)


async def test_a_label_key_with_a_slash_is_a_pointer() -> None:
    """RFC 6901 escapes the slash."""
    names = world.Names(label="app.kubernetes.io/name")
    found = world.healthy(names)
    found.objects["Service"] = [world.service(names, {names.label: "paymentservice"})]

    assert checks_of(await planned(found))["field_equals"]["path"] == "/spec/selector/app.kubernetes.io~1name"


async def test_a_request_is_lowered_to_what_was_measured() -> None:
    """One and a half times the greatest use, rounded up to 10m; and the pods must fit with it."""
    made = await planned(world.no_room())

    assert value_of(made, "cpu_request") == "180m"
    assert change_of(made).arguments["requests"] == {"cpu": {"$param": "cpu_request"}}
    assert next(iter(checks_of(made))) == "pods_scheduled"


async def test_without_a_measurement_the_revision_before_tells() -> None:
    """It ran with that request."""
    made = await planned(msgspec.structs.replace(world.no_room(), usage=()))

    assert value_of(made, "cpu_request") == "100m"
    assert "the revision before ran with this request" in prose_of(made)


def _alone(found: Snapshot) -> Snapshot:
    left = copy.deepcopy(found)
    left.objects["ReplicaSet"] = left.objects["ReplicaSet"][1:]
    left.objects["Pod"] = left.objects["Pod"][3:]
    return msgspec.structs.replace(left, usage=())


async def test_without_any_evidence_no_request_is_proposed() -> None:
    """Neither use nor an earlier revision: the plan only advises."""
    made = await planned(_alone(world.no_room()))

    assert not any(isinstance(step, ChangeStep) for step in made.steps)
    assert "No smaller cpu request that fits follows from the evidence" in prose_of(made)
    assert "add a node with 6 cpu to spare" in prose_of(made)


async def test_a_request_that_would_not_fit_either_is_not_proposed() -> None:
    """Where the nodes are full a smaller request helps nobody."""
    full = msgspec.structs.replace(world.no_room(), elsewhere=(Load("node-a", 2**30, 3.65, 4),))

    assert not any(isinstance(step, ChangeStep) for step in (await planned(full)).steps)


async def test_a_limit_range_has_the_last_word_on_small_requests() -> None:
    """A request below the namespace's minimum would be refused."""
    found = copy.deepcopy(world.no_room())
    found.objects["LimitRange"] = [
        {
            "kind": "LimitRange",
            "metadata": world.meta("least", "checkout"),
            "spec": {"limits": [{"type": "Container", "min": {"cpu": "150m"}}]},
        }
    ]

    assert value_of(await planned(found), "cpu_request") == "180m"
    tiny = tuple(Usage(use.namespace, use.pod, use.container, use.memory, 0.01) for use in found.usage)
    bare = await planned(msgspec.structs.replace(found, usage=tiny))
    assert not any(isinstance(step, ChangeStep) for step in bare.steps if getattr(step, "id", "") == "lower_request")
