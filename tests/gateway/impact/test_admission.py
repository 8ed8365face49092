"""Webhooks that take no part in a dry run, and webhooks that change."""

from typing import Any

import pytest

from skyflo_runbooks.gateway.impact import Change, needs
from skyflo_runbooks.gateway.impact.admission import HOOKS
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Request, Verb
from tests.gateway.impact.scenes import (
    Around,
    changed,
    created,
    deleted,
    level,
    lines,
    made,
    pod,
    service,
    told,
    workload,
)

RULE: Json = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["UPDATE"]}


def hook(rule: Json | None = None, kind: str = HOOKS[0], **members: Any) -> Json:
    """A configuration of one webhook with side effects."""
    one = {"name": "quota.example.com", "sideEffects": "Some", "rules": [RULE | (rule or {})], **members}
    return made(kind, "hooks", namespace="", webhooks=[one])


SHOP = made("Namespace", "shop", namespace="", labels={"team": "a"})
PATH = "/apis/apps/v1/namespaces/shop/deployments/web"
SELECTING = {"matchLabels": {"team": "b"}}


def unseen(path: str = PATH, verb: Verb = "patch") -> Change:
    """A change of which no dry run could say what it leaves."""
    return Change(Request(verb, ObjectRef("Deployment", "web", "shop"), path, [], preview="none"), workload(), None)


@pytest.mark.parametrize(
    ("configuration", "change", "named"),
    [
        (hook(), unseen(), True),
        (hook(kind=HOOKS[1]), unseen(), True),
        (hook(sideEffects="Unknown"), unseen(), True),
        (hook(sideEffects="NoneOnDryRun"), unseen(), False),
        (hook({"apiGroups": ["*"], "resources": ["*"], "operations": ["*"], "apiVersions": ["*"]}), unseen(), True),
        (hook({"resources": ["deployments/*"]}), unseen(), True),
        (hook({"resources": ["statefulsets"]}), unseen(), False),
        (hook({"operations": ["CREATE"]}), unseen(), False),
        (hook({"apiGroups": [""]}), unseen(), False),
        (hook({"scope": "Cluster"}), unseen(), False),
        (hook({"resources": ["*"]}), unseen(f"{PATH}/scale"), False),
        (hook({"resources": ["*/scale"]}), unseen(f"{PATH}/scale"), True),
        (hook(namespaceSelector=SELECTING), unseen(), False),
        (hook(namespaceSelector={"matchLabels": {"team": "a"}}), unseen(), True),
        (hook(objectSelector=SELECTING), unseen(), False),
        (hook({"operations": ["CONNECT"], "apiGroups": [""], "resources": ["pods/exec"]}),
         unseen("/api/v1/namespaces/shop/pods/web/exec", "run"), True),
    ],
)  # fmt: skip
def test_a_webhook_that_nobody_could_ask_beforehand_is_named(configuration: Json, change: Change, named: bool) -> None:
    """If it would be called for this very request."""
    impact = told(change, Around(configuration, SHOP))
    said = "Webhook quota.example.com (hooks) takes no part in dry runs: what it changes or refuses is not known"
    assert (said in impact.unknown) is named
    assert level(impact) == ("high" if named else "low")


def test_selectors_that_cannot_be_read_are_taken_to_match() -> None:
    """The namespace was refused: the webhook may be called."""
    impact = told(unseen(), Around(hook(namespaceSelector=SELECTING), refused=("Namespace",)))
    assert any(line.startswith("Webhook quota.example.com") for line in impact.unknown)


def test_what_a_dry_run_showed_needs_no_list_of_webhooks() -> None:
    """All that match took part, or the server would have refused."""
    assert not {need.kind for need in needs(changed(workload(), spec__replicas=2))} & set(HOOKS)


SERVED: dict[str, Any] = {"clientConfig": {"service": {"namespace": "shop", "name": "web"}}}


@pytest.mark.parametrize(
    ("change", "around", "said"),
    [
        (created(hook(**SERVED)), [service(), pod("web-1")], "quota.example.com is asked about deployments"),
        (
            created(hook(**SERVED)),
            [service(), pod("web-1", ready=False)],
            "has NO ready pod behind it and failurePolicy Fail",
        ),
        (created(hook(**SERVED)), [], "has NO ready pod behind it"),
        (deleted(hook(**SERVED)), [], "No longer asked: quota.example.com; what it refused or completed passes"),
    ],
)
def test_a_webhook_that_changes(change: Change, around: list[Json], said: str) -> None:
    """It can refuse what everybody writes, all the more when nobody answers."""
    impact = told(change, Around(*around))
    assert said in lines(impact)
    assert level(impact) == "high"


def test_a_webhook_that_may_fail_open_or_answers_blocks_nothing() -> None:
    """Ignore lets pass."""
    said = lines(told(created(hook(failurePolicy="Ignore", **SERVED)), Around()))
    assert "NO ready pod" not in said
