"""Repairs of family B, images: IMG-01, IMG-03 and IMG-05, for which a good image may be known, and IMG-06."""

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Parameter, param
from skyflo_runbooks.planning.rules.common import roll_back
from skyflo_runbooks.planning.rules.patches import merge
from skyflo_runbooks.planning.way import Case, Repair, Way, advised, check_of, named, settle, steady, web_checks

_ARCHITECTURE = "kubernetes.io/arch"  # every kubelet labels its node with it


def set_image(case: Case) -> Repair:
    """Set an image that is known to exist; or go back to the revision that had it."""
    facts = case.finding.facts
    container, good = facts["container"], facts.get("good_image")
    if good is None:
        return Repair(advice=(case.finding.advice,))
    running = check_of(case, "image_running", container=container, image=param("image"))
    change = ChangeStep(
        id="set_image",
        tool="k8s_set_image",
        arguments={**named(case), "images": {container: param("image")}},
        why=f"{facts['image']} cannot be pulled; {good} {facts['good_source']}.",
    )
    way = Way(
        title=f"Set the image of {container} to {good}",
        change=change,
        checks=(*steady(case), running, *web_checks(case, window=param("settle"))),
        parameters=(Parameter("image", "str", good, f"image of {container} that exists"), settle()),
        reasons=(f"{good} {facts['good_source']}.", "Everything else of the new revision stays."),
    )
    back = roll_back(
        case,
        because="Its image could be pulled.",
        checks=(check_of(case, "image_running", container=container, image=good),),
    )
    return Repair(ways=(way, *back))


def choose_nodes(case: Case) -> Repair:
    """Choose the nodes of the architecture that the image runs on here; or go back to the revision that ran."""
    back, fits = roll_back(case, because="Its pods ran."), case.finding.facts.get("fits")
    if not fits:
        return Repair(ways=back, advice=advised(case))
    patch: Json = {"spec": {"template": {"spec": {"nodeSelector": {_ARCHITECTURE: fits}}}}}
    why = f"{case.finding.facts['image']} runs on {fits} here, and not on {case.finding.facts['architectures']}."
    way = merge(case, patch, f"Choose nodes of {fits}", why, checks=(check_of(case, "pods_scheduled"),))
    return Repair(ways=(way, *back), advice=advised(case))


REPAIRS = {"IMG-01": set_image, "IMG-03": set_image, "IMG-05": set_image, "IMG-06": choose_nodes}

__all__ = ["REPAIRS", "choose_nodes", "set_image"]
