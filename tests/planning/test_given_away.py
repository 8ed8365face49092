"""A released volume holds somebody's data: whose claim gets it, and where nothing is offered."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep
from tests.diagnosis import scenes, world
from tests.diagnosis.world import Names
from tests.planning.tries import planned, prose_of

NAMES = Names()


def released(*, was: tuple[str, str] = (NAMES.namespace, "data"), named: bool = True, mode: str = "") -> Snapshot:
    """A volume that belonged to the claim `was`, and a claim that names it or has only its class."""
    found = scenes.released_volume(NAMES)
    volume, claim = found.objects["PersistentVolume"][0]["spec"], found.objects["PersistentVolumeClaim"][0]["spec"]
    volume["claimRef"].update(namespace=was[0], name=was[1])
    for spec in (volume, claim):
        spec["storageClassName"] = "shelf"
    if not named:
        del claim["volumeName"]
    binding = {"volumeBindingMode": mode} if mode else {}
    kept: Json = {
        "kind": "StorageClass",
        "metadata": world.meta("shelf"),
        "provisioner": "shelf.example.com",
        **binding,
    }
    found.objects["StorageClass"] = [kept]
    return found


def sto(found: Snapshot) -> list[Finding]:
    """What is found of volumes that belong to claims which are gone."""
    return [one for one in diagnose(found, Incident("data is pending")).findings if one.fault == "STO-04"]


async def changes(found: Snapshot) -> bool:
    """Whether the plan changes anything."""
    return any(isinstance(step, ChangeStep) for step in (await planned(found)).steps)


async def test_its_own_claim_that_names_it_gets_it() -> None:
    """The same namespace, the same name, and `volumeName`: whoever wrote the claim says which volume is meant."""
    assert await changes(released())
    assert [one.confidence for one in sto(released())] == [0.92]


@pytest.mark.parametrize("was", [("payroll", "ledger"), ("payroll", "data"), (NAMES.namespace, "ledger")])
async def test_a_claim_that_names_the_volume_of_another_does_not_get_it(was: tuple[str, str]) -> None:
    """Anybody may write the name of any volume into a claim of theirs."""
    found = released(was=was)

    assert not await changes(found)
    assert f"is of {was[0]}/{was[1]}, and not of this claim" in prose_of(await planned(found))
    assert [one.facts.get("uid") for one in sto(found)] == [None]


async def test_a_claim_that_names_no_volume_is_advised_on() -> None:
    """That it is called as the earlier one was does not say that the old data are wanted."""
    found = released(named=False)

    assert not await changes(found)
    assert [one.confidence for one in sto(found)] == [0.7]


def test_a_claim_that_waits_for_its_first_pod_is_well() -> None:
    """No pod mounts it, so its class binds it to nothing: the old volume has nothing to do with it."""
    waits = released(named=False, mode="WaitForFirstConsumer")
    assert sto(waits) == []
    assert len(sto(released(named=False, mode="Immediate"))) == 1
    assert len(sto(released(mode="WaitForFirstConsumer"))) == 1

    pod = waits.objects["Pod"][0]
    pod["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    assert len(sto(waits)) == 1
