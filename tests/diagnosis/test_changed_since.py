"""CON-18, CON-19, CON-21, NET-08, NET-09: values read too early, CPU waited for, certificates; and what comes near."""

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Gap, Snapshot, diagnose
from skyflo_runbooks.diagnosis.lines import finds_no_host, refuses_credential
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import scenes, world
from tests.diagnosis.world import Names

NAMES = Names()


def findings(found: Snapshot, words: str = "something is wrong") -> list[Finding]:
    """Return what a diagnosis finds."""
    return list(diagnose(found, Incident(words)).findings)


def faults(found: Snapshot) -> list[str]:
    """Return the faults that a diagnosis names."""
    return [item.fault for item in findings(found)]


def spec_of(found: Snapshot) -> list[Json]:
    """Return the container's specification in each pod and template."""
    return [
        *(pod["spec"]["containers"][0] for pod in found.objects["Pod"]),
        *(item["spec"]["template"]["spec"]["containers"][0] for item in found.objects["Deployment"]),
    ]


# CON-18, CON-19 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_what_was_changed_before_the_container_started_was_read(kind: str) -> None:
    """Pods of a rollout are newer than what they read; that they are not ready has another cause."""
    assert faults(scenes.read_before(NAMES, kind, when=world.EARLIER)) == []


def test_a_whole_volume_is_brought_up_to_date() -> None:
    """The kubelet writes the present values to it while the container runs."""
    found = scenes.read_before(NAMES)
    for spec in spec_of(found):
        spec.pop("envFrom", None)
        spec["volumeMounts"] = [{"name": "settings", "mountPath": "/etc/settings"}]
    for pod in found.objects["Pod"]:
        pod["spec"]["volumes"] = [{"name": "settings", "configMap": {"name": "settings"}}]

    assert faults(found) == []
    for spec in spec_of(found):
        spec["volumeMounts"][0]["subPath"] = "mode"
    assert faults(found) == ["CON-18"]


def test_a_key_that_the_container_does_not_read_changes_nothing() -> None:
    """Another key of the same object was changed."""
    found = scenes.read_before(NAMES)
    reference = {"configMapKeyRef": {"name": "settings", "key": "level"}}
    for spec in spec_of(found):
        spec.pop("envFrom", None)
        spec["env"] = [{"name": "LEVEL", "valueFrom": reference}]
    assert faults(found) == []

    found.objects["ConfigMap"] = [scenes.of_keys("ConfigMap", "settings", NAMES, when=world.NOW, keys="mode level")]
    assert faults(found) == []  # one time for both: nothing says which of them was changed

    found.objects["ConfigMap"] = [scenes.of_keys("ConfigMap", "settings", NAMES, when=world.NOW, keys="level")]
    assert faults(found) == ["CON-18"]
    assert "key level of ConfigMap/checkout/settings" in findings(found)[0].title


LABELS: Json = {"f:metadata": {"f:labels": {"f:commit": {}}}}
NOTES: Json = {"f:metadata": {"f:annotations": {".": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}}}}
OTHERS: Json = {"f:metadata": {"f:annotations": {".": {}, "f:release": {}}}}


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
@pytest.mark.parametrize("beside", [LABELS, OTHERS, {"f:immutable": {}}], ids=["label", "annotation", "immutable"])
def test_a_label_that_was_changed_is_no_change_of_data(kind: str, beside: Json) -> None:
    """Helm and Argo CD write a new version on everything, and own the data in the same entry, which has one time."""
    found = scenes.read_before(NAMES, kind)
    entry = found.objects[kind][0]["metadata"]["managedFields"][0]
    assert len(faults(found)) == 1

    entry["fieldsV1"] |= beside
    assert faults(found) == []
    entry["fieldsV1"] = beside
    assert faults(found) == []


@pytest.mark.parametrize("beside", [NOTES, {"f:type": {}}], ids=["applied", "type"])
def test_what_comes_with_data_alone_does_not_hide_the_change(beside: Json) -> None:
    """The note of `kubectl apply`, and the type of a Secret, which nobody can change."""
    found = scenes.read_before(NAMES, "Secret")
    found.objects["Secret"][0]["metadata"]["managedFields"][0]["fieldsV1"] |= beside

    assert faults(found) == ["CON-19"]


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_a_workload_that_is_well_has_no_finding(kind: str) -> None:
    """Whatever was changed since: the new value may be for the next release, and nothing is restarted for it."""
    found = scenes.read_before(NAMES, kind, well=True)
    answer = diagnose(found, Incident("is payment-service healthy?"))
    assert (answer.findings, answer.unknown) == ((), ())
    assert answer.healthy

    pods = found.objects["Pod"]
    pods[0]["status"]["conditions"][0]["status"] = "False"
    assert len(faults(found)) == 1

    pods[0]["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = "2026-05-04T10:15:00Z"
    assert faults(found) == []  # it has read the present values; the other, which has not, is well


def test_a_container_that_was_started_again_since_has_read_it() -> None:
    """A restart reads everything anew."""
    found = scenes.read_before(NAMES)
    for pod in found.objects["Pod"]:
        pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = "2026-05-04T10:15:00Z"

    assert faults(found) == []


def test_a_refused_password_makes_a_rotated_secret_the_cause() -> None:
    """Without the log it is only likely."""
    told, quiet = scenes.secret_read_before(NAMES), scenes.read_before(NAMES, "Secret")

    assert findings(told)[0].confidence > 0.9 > findings(quiet)[0].confidence
    assert any("password authentication failed" in piece.text for piece in findings(told)[0].evidence)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("HTTP 401 Unauthorized", True),
        ("FATAL: password authentication failed for user", True),
        ("WRONGPASS invalid username-password pair", True),
        ("POST /login 200", False),
        ("took 4012 ms", False),
        ("authentication succeeded", False),
    ],
)
def test_what_a_refused_credential_reads_like(text: str, says: bool) -> None:
    """In the words of the usual databases and servers."""
    assert refuses_credential(text) is says


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dial tcp: lookup ledger on 10.96.0.10:53: no such host", True),
        ("getaddrinfo EAI_AGAIN ledger", True),
        ("java.net.UnknownHostException: ledger", True),
        ("connection refused", False),
        ("host ledger resolved", False),
    ],
)
def test_what_an_unknown_host_reads_like(text: str, says: bool) -> None:
    """In the words of the usual resolvers."""
    assert finds_no_host(text) is says


# CON-21 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("throttled", "cpu"), [(200, 0.19), (900, 0.05)], ids=["seldom", "idle-now"])
def test_some_waiting_is_usual(throttled: int, cpu: float) -> None:
    """A process in bursts waits now and then; one that uses little now is not kept."""
    assert faults(scenes.waits_for_cpu(NAMES, throttled=throttled, cpu=cpu)) == []


def test_a_few_periods_say_little() -> None:
    """A container that has just started is busy."""
    found = scenes.waits_for_cpu(NAMES)
    (one,) = found.throttled
    young = msgspec.structs.replace(one, periods=100, throttled=90)

    assert faults(msgspec.structs.replace(found, throttled=(young,))) == []


# NET-08, NET-09 -------------------------------------------------------------------------------------------------------


def test_a_certificate_that_lasts_is_well() -> None:
    """Even one that ends in a week: that is for an alarm, not for an incident."""
    found = scenes.out_of_date(NAMES)
    found.objects["Secret"] = [scenes.certificate(NAMES, "shop-tls", ends="2026-05-12T00:00:00Z")]

    assert faults(found) == []


def test_a_certificate_that_is_not_valid_yet_is_named() -> None:
    """Somebody's clock, or a renewal that came too early."""
    found = scenes.out_of_date(NAMES)
    times = {"notBefore": "2026-06-01T00:00:00Z", "notAfter": "2027-06-01T00:00:00Z"}
    found.objects["Secret"][0]["certificate"] |= times

    assert faults(found) == ["NET-09"]


@pytest.mark.parametrize(
    ("hosts", "meant"),
    [
        (("shop.example.com",), "next"),
        (("*.example.com",), "next"),
        (("other.example.com",), None),
        (("*.shop.example.com",), None),
    ],
)
def test_only_a_certificate_for_the_same_hosts_could_serve_instead(hosts: tuple[str, ...], meant: str | None) -> None:
    """A wildcard stands for one label."""
    found = scenes.out_of_date(NAMES)
    found.objects["Secret"].append(scenes.certificate(NAMES, "next", ends="2027-01-01T00:00:00Z", hosts=hosts))
    finding = findings(found)[0]

    assert finding.facts.get("meant") == meant
    assert finding.object.kind == ("Ingress" if meant else "Secret")


def test_what_an_issuer_says_is_evidence() -> None:
    """cert-manager's own conditions name why it was not renewed."""
    found = scenes.out_of_date(NAMES)
    said = [{"type": "Ready", "status": "False", "message": "the ACME account is not registered"}]
    found.objects["Certificate"] = [
        {
            "kind": "Certificate",
            "metadata": world.meta("shop", "checkout"),
            "spec": {"secretName": "shop-tls"},
            "status": {"conditions": said},
        }
    ]

    assert "the ACME account is not registered" in findings(found)[0].advice


def test_a_certificate_that_is_just_being_issued_is_waited_for() -> None:
    """An issuer needs a while."""
    found = scenes.no_certificate(NAMES)
    metadata = found.objects["Ingress"][0]["metadata"]
    metadata["annotations"] = {"cert-manager.io/cluster-issuer": "acme"}
    metadata["creationTimestamp"] = "2026-05-04T10:20:00Z"

    assert faults(found) == []


def test_a_gateway_serves_certificates_too() -> None:
    """Its listeners name Secrets."""
    found = scenes.out_of_date(NAMES)
    listener = {"name": "https", "tls": {"certificateRefs": [{"name": "shop-tls"}]}}
    found.objects["Gateway"] = [
        {
            "kind": "Gateway",
            "metadata": world.meta("edge", "checkout"),
            "spec": {"gatewayClassName": "edge", "listeners": [listener]},
        }
    ]
    found.objects["GatewayClass"] = [{"kind": "GatewayClass", "metadata": world.meta("edge")}]
    found.objects.pop("Ingress")

    assert [(item.fault, item.related[0].kind) for item in findings(found)] == [("NET-09", "Gateway")]


@pytest.mark.parametrize("words", ["https fails with an x509 error", "pods crash"])
def test_secrets_that_may_not_be_listed_are_unknown_where_the_words_are_about_them(words: str) -> None:
    """A question about certificates is not answered without them; another one is, and the refusal is a note."""
    found = scenes.no_certificate(NAMES)
    found.objects.pop("Secret")
    refused = msgspec.structs.replace(found, gaps=(Gap("Secret", "checkout", "secrets is forbidden"),))
    answer = diagnose(refused, Incident(words))

    assert answer.findings == ()
    assert bool(answer.unknown) is ("x509" in words)
    assert any("secrets is forbidden" in text for text in (*answer.unknown, *answer.notes))
