"""Who else writes an object, by what it says itself: who undoes a change by hand, and where it lasts. Pure.

Marks say it: Helm's release annotations, Argo CD's tracking, Flux's labels. A controller that the object belongs to
makes it as its own fields say. managedFields name tools that leave no mark (Terraform, Pulumi).
"""

from collections.abc import Iterator

from skyflo_runbooks.diagnosis.graph import controller
from skyflo_runbooks.diagnosis.pods import each, labels_of, texts
from skyflo_runbooks.model.json import Json

TOOLS = {
    "argocd": ("Argo CD", "in git"),
    "helm": ("Helm", "in the release's values"),
    "kustomize-controller": ("Flux", "in git"),
    "flux": ("Flux", "in git"),
    "terraform": ("Terraform", "in its configuration"),
    "pulumi": ("Pulumi", "in its program"),
    "keda": ("KEDA", "in the ScaledObject"),
    "vpa": ("the VerticalPodAutoscaler", "in its policy"),
}


def owners(manifest: Json) -> tuple[str, ...]:
    """Return in words who will undo a change of the object, and where to change it instead; empty: nobody is known."""
    found = list(marks(manifest))
    above = controller(manifest)
    if above is not None:
        owner = f"{above.kind} {above.name}"
        found.append(f"{owner} controls it: will be reverted by it; change the {owner} to make it last")
    for entry in each(manifest, "metadata", "managedFields"):
        name = str(entry.get("manager") or "").lower()
        known = next((known for word, known in TOOLS.items() if word in name), None)
        if known is None or entry.get("subresource") or any(known[0] in said for said in found):
            continue
        found.append(f"{known[0]} wrote it ({entry['manager']}): may be reverted by it; change it {known[1]}")
    return tuple(found)


def marks(manifest: Json) -> Iterator[str]:
    """Say what labels and annotations tell."""
    labels, notes = labels_of(manifest), texts(manifest, "metadata", "annotations")
    flux = {
        prefix: labels[key] for prefix in ("helm", "kustomize") if (key := f"{prefix}.toolkit.fluxcd.io/name") in labels
    }
    release = notes.get("meta.helm.sh/release-name")
    if "helm" in flux:
        yield f"Flux HelmRelease {flux['helm']}: will be reverted by it; change its values in git to make it last"
    elif release or labels.get("app.kubernetes.io/managed-by") == "Helm":
        name = f"release {release}" if release else "a release that is not named"
        yield f"Helm {name}: will be reverted by its next upgrade; change its values to make it last"
    tracking = notes.get("argocd.argoproj.io/tracking-id", "").split(":")[0]
    application = tracking or labels.get("argocd.argoproj.io/instance")
    if application:
        yield f"Argo CD application {application}: will be reverted by its next sync; change it in git to make it last"
    if "kustomize" in flux:
        yield f"Flux Kustomization {flux['kustomize']}: will be reverted by it; change it in git to make it last"
    if notes.get("objectset.rio.cattle.io/owner-name"):
        owner = notes["objectset.rio.cattle.io/owner-name"]
        yield f"Rancher {owner}: will be reverted by it; change it there to make it last"


__all__ = ["TOOLS", "marks", "owners"]
