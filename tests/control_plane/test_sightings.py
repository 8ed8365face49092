"""Words of two runs are equal once names, times and sizes are out; and different words stay different."""

from __future__ import annotations

import pytest

from tests.control_plane.sightings import plain, sight

_UID = "0a1b2c3d-0000-4000-8000-0123456789ab"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (
            f"back-off 1m20s restarting failed container=api pod=api-58dd9f5fbc-9g2s7_shop({_UID})",
            "back-off TIME restarting failed container=api pod=api-HASH_shop(UID)",
        ),
        (
            'Successfully pulled image "api:v1" in 307ms (308ms including waiting). Image size: 4152423 bytes.',
            'Successfully pulled image "api:v1" in TIME (TIME including waiting). Image size: N bytes.',
        ),
        ("dial tcp 10.77.0.12:8080: connect: connection refused", "dial tcp ADDRESS:8080: connect: connection refused"),
        ("Successfully assigned shop/api-97c66b4-629hq to node-a", "Successfully assigned shop/api-HASH to NODE"),
        ("0/3 nodes are available: 3 Insufficient cpu.", "0/3 nodes are available: 3 Insufficient cpu."),
    ],
)
def test_only_what_varies_is_taken_out(said: str, left: str) -> None:
    """Counts of nodes, ports, tags and reasons are words, and stay."""
    assert plain(said) == left


def test_states_and_events_of_the_named_pods_only() -> None:
    """A neighbour's troubles are not ours."""
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    status = {"containerStatuses": [{"state": {"running": {}}, "lastState": ended}]}
    pods = [{"metadata": {"name": name}, "status": status} for name in ("api-1", "web-1")]
    about = [
        {"kind": "Pod", "name": "api-1"},
        {"kind": "Pod", "name": "web-1"},
        {"kind": "ReplicaSet", "name": "api-1"},
    ]
    events = [
        {"type": "Warning", "reason": "BackOff", "message": each["name"], "involvedObject": each} for each in about
    ]
    seen = sight(pods, events, "api")
    assert seen.states == {"state running ", "lastState terminated OOMKilled 137"}
    assert seen.events == {"Warning BackOff: api-1"}
