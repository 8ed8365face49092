"""Proposal views as the gateway gives them, for the tests of the pages."""

from skyflo_runbooks.model.json import Json

ID = "ap-7f3k9x"
DIGEST = "sha256:" + "5b1e" * 16
DIFF = """--- live Deployment checkout/payment-service
+++ after Deployment checkout/payment-service
@@ -18,7 +18,7 @@
         name: payment-service
         resources:
           limits:
-            memory: 256Mi
+            memory: 512Mi
           requests:
             cpu: 100m
             memory: 128Mi
"""


def view(**changes: object) -> Json:
    """The flagship's proposal, open; `changes` replace members."""
    return {
        "id": ID,
        "state": "proposed",
        "tool": "k8s_set_resources",
        "title": "Raise memory limit of payment-service",
        "why": "Every restart was OOMKilled at the 256Mi limit. 512Mi is the next doubling; quota and nodes have room.",
        "step": "raise_memory",
        "runbook": "rb-1c2d3e",
        "risk": "medium",
        "diff": DIFF,
        "digest": DIGEST,
        "expires": "2099-01-01T02:43:41Z",
        "requester": "kernel of k.ops",
        "impact": {
            "while_it_runs": ["3 pods restart one after another; at least 1 stays up as now (surge 1)"],
            "also_touched": ["Service payment-service (3 endpoints)", "No HPA"],
            "ownership": ["Not managed by Helm, Argo CD or Flux"],
            "unknown": [],
        },
        "assessment": {
            "risk": "medium",
            "reasons": ["The pods of a workload restart"],
            "way_back": "Restore the template of revision 41, stored; needs its own approval",
            "irreversible": "",
        },
        "equivalent": "kubectl -n checkout set resources deploy/payment-service -c payment-service "
        "--limits memory=512Mi",
        "warnings": [],
        "arguments": {
            "kind": "Deployment",
            "namespace": "checkout",
            "name": "payment-service",
            "container": "payment-service",
            "limits": {"memory": "512Mi"},
        },
        "verification": {
            "step": "recovered",
            "within": "10m",
            "checks": [
                {
                    "name": "rollout_complete",
                    "arguments": {"kind": "Deployment", "name": "payment-service", "namespace": "checkout"},
                },
                {"name": "no_restarts", "arguments": {"name": "payment-service", "window": "5m"}},
                {"name": "memory_below", "arguments": {"name": "payment-service", "percent": 80}},
                {"name": "http_ok", "arguments": {"service": "payment-service", "path": "/checkout"}},
            ],
        },
        "url": f"http://localhost:8080/proposals/{ID}",
        "receipt": None,
        "supersedes": "",
        "superseded_by": "",
        "rollback_of": "",
        "rolled_back_by": "",
        **changes,
    }


def receipt(**changes: object) -> Json:
    """The receipt of the flagship's proposal after it was applied."""
    return {
        "proposal": ID,
        "title": "Raise memory limit of payment-service",
        "state": "executed",
        "digest": DIGEST,
        "requester": "kernel of k.ops",
        "tool": "k8s_set_resources",
        "diff": DIFF,
        "way_back": "Restore the template of revision 41",
        "operator": "k.ops",
        "decided_at": "2026-03-01T02:14:07Z",
        "reason": "",
        "applied_at": "2026-03-01T02:14:07Z",
        "applied": [{"object": "Deployment/checkout/payment-service", "status": 200, "generation": 42, "message": ""}],
        "attempt": "at-1",
        "message": "",
        "ledger": [118, 126],
        **changes,
    }


def judgement(**changes: object) -> Json:
    """A verdict on it."""
    return {
        "verdict": "VERIFIED",
        "step": "recovered",
        "changes": [ID],
        "checks": [
            {"check": "rollout_complete", "result": "PASS", "observed": "3 of 3 updated and available"},
            {"check": "no_restarts", "result": "PASS", "observed": "0 in 5m"},
            {"check": "memory_below", "result": "PASS", "observed": "340Mi of 512Mi"},
        ],
        "finished": "2026-03-01T02:20:11Z",
        "reasons": [],
        **changes,
    }
