"""A plan says who will undo its change, and where the change lasts."""

import pytest

from skyflo_runbooks.diagnosis.owners import owners
from skyflo_runbooks.model.json import Json
from tests.diagnosis import scenes, world
from tests.diagnosis.world import Names
from tests.planning.tries import change_of, planned, prose_of

NAMES = Names()
SAID = "It does not last by itself"

MARKS: dict[str, tuple[Json, str]] = {
    "helm": ({"annotations": {"meta.helm.sh/release-name": "shop"}}, "Helm release shop: will be reverted"),
    "argo": ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:x"}}, "change it in git"),
    "argo-label": ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "Argo CD application shop"),
    "flux": ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "Flux Kustomization apps"),
    "flux-helm": ({"labels": {"helm.toolkit.fluxcd.io/name": "apps"}}, "change its values in git"),
    "operator": (
        {"ownerReferences": [{"kind": "Shop", "name": "main", "controller": True}]},
        "change the Shop main to make it last",
    ),
    "terraform": ({"managedFields": [{"manager": "Terraform", "operation": "Apply"}]}, "Terraform wrote it"),
}


@pytest.mark.parametrize("mark", sorted(MARKS))
async def test_who_owns_the_object_is_named_in_the_plan(mark: str) -> None:
    """With the place where a change lasts; the change stays what it was."""
    more, words = MARKS[mark]
    found = world.oom_killed(NAMES)
    plain = await planned(found)
    workload = found.objects["Deployment"][0]
    for key, value in more.items():
        held = workload["metadata"].get(key)
        workload["metadata"][key] = {**held, **value} if isinstance(held, dict) else value
    plan = await planned(found)

    assert SAID not in prose_of(plain)
    assert SAID in prose_of(plan)
    assert words in prose_of(plan)
    assert change_of(plan).arguments == change_of(plain).arguments


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"managedFields": [{"manager": "kubectl-edit"}, {"manager": "kube-controller-manager"}]},
        {"managedFields": [{"manager": "argocd-controller", "subresource": "status"}]},
        {"ownerReferences": [{"kind": "Shop", "name": "main"}]},
        {"labels": {"app": "helm"}},
    ],
)
def test_who_only_touches_it_undoes_nothing(metadata: Json) -> None:
    """People, Kubernetes itself, a status, an owner that does not control."""
    assert owners({"metadata": metadata}) == ()


def test_a_tool_is_named_once() -> None:
    """Its mark says more than its name in managedFields."""
    release = {"annotations": {"meta.helm.sh/release-name": "shop"}, "managedFields": [{"manager": "helm"}]}

    assert len(owners({"metadata": release})) == 1


async def test_a_restart_is_undone_by_nobody() -> None:
    """It leaves no field that a sync would take back."""
    found = scenes.read_before(NAMES)
    found.objects["Deployment"][0]["metadata"]["annotations"] = {"meta.helm.sh/release-name": "shop"}
    plan = await planned(found)

    assert change_of(plan).tool == "k8s_rollout_restart"
    assert SAID not in prose_of(plan)
