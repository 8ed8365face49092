"""Taking a snapshot: side by side, bounded, and nothing refused is taken for nothing there."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose, investigate, pointed, take
from skyflo_runbooks.diagnosis.pointed import PULLING
from skyflo_runbooks.diagnosis.snapshot import Load, Throttle, Usage
from skyflo_runbooks.diagnosis.take import ADDED, LOGS_PER_WORKLOAD, failing
from skyflo_runbooks.model.errors import BadInput, NotAllowed, Unknown, Unreachable
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json, at
from tests.diagnosis import scenes, world
from tests.diagnosis.world import Names


class Items(msgspec.Struct, frozen=True):
    """A list."""

    items: tuple[Json, ...]
    more: bool = False


class Lines(msgspec.Struct, frozen=True):
    """A log."""

    text: str


class Figures(msgspec.Struct, frozen=True):
    """Usage, or none at all and why."""

    samples: tuple[Usage, ...] = ()
    gaps: tuple[str, ...] = ("no metrics here",)


class Memory:
    """A cluster of one snapshot, in memory, that can refuse, fail and hang by kind."""

    def __init__(
        self,
        found: Snapshot,
        *,
        errors: dict[str, Exception] | None = None,
        hangs: str = "",
        measured: bool = False,
    ) -> None:
        self.found = found
        self.measured = measured
        self.errors = errors or {}
        self.hangs = hangs
        self.asked: list[tuple[str, str | None]] = []
        self.together = 0
        self.most = 0

    async def _wait(self, kind: str) -> None:
        self.together += 1
        self.most = max(self.most, self.together)
        try:
            await (asyncio.Event().wait() if kind == self.hangs else asyncio.sleep(0))
        finally:
            self.together -= 1
        if kind in self.errors:
            raise self.errors[kind]

    async def list(
        self, kind: str, namespace: str | None = None, *, limit: int | None = None, changes: bool = False
    ) -> Items:
        """Return the objects of a kind, cut at `limit`."""
        self.asked.append((kind, namespace))
        await self._wait(kind)
        items = [
            item
            for item in self.found.objects.get(self._kind(kind), [])
            if namespace in (None, at(item, "metadata", "namespace", default=None))
        ]
        return Items(tuple(items[:limit]), more=limit is not None and len(items) > limit)

    async def logs(
        self,
        namespace: str,
        pod: str,
        *,
        container: str = "",
        previous: bool = False,
        tail: int | None = None,
        since_seconds: int | None = None,
    ) -> Lines:
        """Return the log that the snapshot has; all of it is of now."""
        self.asked.append(("Log", namespace))
        await self._wait("Log")
        for log in self.found.logs:
            if (log.namespace, log.pod, log.container, log.previous) == (namespace, pod, container, previous):
                return Lines(log.text)
        raise BadInput("previous terminated container not found")

    async def usage(self, pods: Sequence[Json]) -> Figures:
        """Return no figures."""
        await self._wait("Usage")
        return Figures(self.found.usage, ()) if self.measured else Figures()

    def _kind(self, asked: str) -> str:
        """Return the kind that a plural with its group means."""
        return next((kind for kind, exact in ADDED.items() if exact == asked), asked)

    async def serves(self, kind: str) -> bool:
        """Return whether the snapshot has objects of a kind."""
        return self._kind(kind) in self.found.objects

    async def metadata(self, kind: str, namespace: str | None = None, *, field_selector: str = "") -> Items:
        """Return the names of the snapshot's objects of a kind."""
        self.asked.append((f"names of {kind}", namespace))
        await self._wait(kind)
        held = self.found.objects.get(kind, [])
        chosen = [item for item in held if f"type={item.get('type')}" == field_selector or not field_selector]
        return Items(tuple({"kind": kind, "metadata": dict(item["metadata"])} for item in chosen))

    async def certificate(self, namespace: str, name: str) -> Json:
        """Return the Secret that the snapshot has."""
        self.asked.append(("certificate", namespace))
        await self._wait("Secret")
        return next(item for item in self.found.objects["Secret"] if item["metadata"]["name"] == name)

    async def throttling(self, pods: Sequence[Json]) -> tuple[tuple[Throttle, ...], tuple[str, ...]]:
        """Return what the snapshot has of these pods."""
        self.asked.append(("throttling", ",".join(item["metadata"]["name"] for item in pods)))
        await self._wait("Throttling")
        return self.found.throttled, ()

    async def now(self) -> datetime:
        """Return the world's time."""
        await self._wait("now")
        return datetime(2026, 5, 4, 10, 22, tzinfo=UTC)


async def test_lists_are_read_side_by_side_once_each() -> None:
    """One call for a kind and namespace; many at the same time."""
    reader = Memory(world.oom_killed())

    found = await take(reader, ["checkout"])

    assert found.time == world.NOW
    lists = [asked for asked in reader.asked if asked[0] not in ("Log", "Pod")]
    assert len(lists) == len(set(lists))
    assert reader.most > 10
    assert {str(gap) for gap in found.gaps} == {"Usage could not be read: no metrics here"}


async def test_no_list_of_secrets_is_read() -> None:
    """Their names are, where a container reads one as it starts; where none does, nothing of them."""
    reading, other = Memory(scenes.secret_read_before(Names())), Memory(world.oom_killed())

    await take(reading, ["checkout"])
    await take(other, ["checkout"])

    assert {asked for asked in reading.asked if "Secret" in asked[0]} == {("names of Secret", "checkout")}
    assert not [asked for asked in other.asked if "Secret" in asked[0] or asked[0] == "certificate"]


@pytest.mark.parametrize(("said", "asked"), [("401 Unauthorized", True), ("not found", False)])
async def test_secrets_that_pull_are_read_by_type_where_a_pull_is_refused(said: str, asked: bool) -> None:
    """Their names and their type: which registry they open is a value, and is not asked for."""
    found = world.wrong_image(message=said)
    keys = {"kind": "Secret", "metadata": world.meta("keys", "checkout", managedFields=[])}
    found.objects["Secret"] = [keys | {"type": PULLING}]
    reader = Memory(found)

    taken = await take(reader, ["checkout"])

    assert [one for one in reader.asked if "Secret" in one[0]] == [("names of Secret", "checkout")] * asked
    held = [(item["metadata"]["name"], item["type"]) for item in taken.objects.get("Secret", [])]
    assert held == [("keys", PULLING)] * asked


@pytest.mark.parametrize(("words", "asked"), [
    ("helm upgrade says that another operation is in progress", True),
    ("it is broken since the chart was upgraded", True),
    ("the release of this morning is broken", False),
])  # fmt: skip
async def test_names_of_secrets_are_read_where_the_words_are_about_helm(words: str, asked: bool) -> None:
    """A release that made nothing, or labels nothing, leaves no other trace; a refusal is a gap then."""
    given, everywhere = Memory(world.healthy()), Memory(world.healthy())

    await take(given, ["checkout"], words=words)
    await take(everywhere, words=words)

    assert [one for one in given.asked if "Secret" in one[0]] == [("names of Secret", "checkout")] * asked
    assert [one for one in everywhere.asked if "Secret" in one[0]] == [("names of Secret", None)] * asked


@pytest.mark.parametrize(
    "named",
    [{"imagePullSecrets": [{"name": "keys"}]}, {"volumes": [{"name": "a", "secret": {"secretName": "access"}}]}],
)
async def test_names_of_secrets_are_read_where_a_pod_waits_that_names_one(named: Json) -> None:
    """What it names may be a slip of the pen; a pod that runs says that it found them."""
    waits, runs = world.wrong_image(), world.healthy()
    for found in (waits, runs):
        for item in found.objects["Pod"]:
            item["spec"] |= named
    first, second = Memory(waits), Memory(runs)

    await take(first, ["checkout"])
    await take(second, ["checkout"])

    assert ("names of Secret", "checkout") in first.asked
    assert not [asked for asked in second.asked if "Secret" in asked[0]]


async def test_times_of_change_come_from_names_alone() -> None:
    """A ConfigMap has its data from the list and its times from the other; then its readers' logs are read."""
    scene = scenes.read_before(Names())
    reader = Memory(scene)

    found = await take(reader, ["checkout"])

    assert [item.fault for item in diagnose(found, Incident("?")).findings] == ["CON-18"]
    assert ("names of ConfigMap", "checkout") in reader.asked
    assert len([asked for asked in reader.asked if asked[0] == "Log"]) == LOGS_PER_WORKLOAD


async def test_certificates_are_read_of_what_is_served_and_what_could_serve() -> None:
    """By name; without anything that serves TLS none is."""
    scene = scenes.out_of_date(Names())
    scene.objects["Secret"].append(scenes.certificate(Names(), "next", ends="2027-01-01T00:00:00Z"))
    reader = Memory(scene)

    found = await take(reader, ["checkout"])

    assert [asked for asked in reader.asked if asked[0] == "certificate"] == [("certificate", "checkout")] * 2
    assert [item.fault for item in diagnose(found, Incident("?")).findings] == ["NET-09"]


async def test_refused_names_are_a_gap_once() -> None:
    """However many lists would have needed them."""
    scene = scenes.out_of_date(Names())
    found = await take(Memory(scene, errors={"Secret": Unknown("secrets is forbidden")}), ["checkout"])

    assert [str(gap) for gap in found.gaps if gap.kind == "Secret"] == [
        "Secret in namespace checkout could not be read: secrets is forbidden"
    ]
    assert "Secret" not in found.objects


async def test_a_kind_that_was_added_is_read_where_it_is_served() -> None:
    """By its exact name, because other groups have kinds of the same; a refused one is a gap."""
    gateway = {"kind": "Gateway", "metadata": world.meta("edge", "checkout"), "spec": {}}
    scene = world.healthy()
    scene.objects["Gateway"] = [gateway]
    reader, refusing = Memory(scene), Memory(scene, errors={ADDED["Gateway"]: Unknown("forbidden")})

    assert (await take(reader, ["checkout"])).objects["Gateway"] == [gateway]
    assert (ADDED["Gateway"], "checkout") in reader.asked
    assert (ADDED["HTTPRoute"], "checkout") not in reader.asked
    assert [gap.kind for gap in (await take(refusing, ["checkout"])).gaps if gap.kind == "Gateway"] == ["Gateway"]


async def test_the_resolver_is_read_where_a_log_finds_no_host() -> None:
    """In its own namespace; where nothing says so it is left alone."""
    reader, other = Memory(scenes.no_resolver(Names())), Memory(world.missing_variable())

    found = await take(reader, ["checkout"])
    await take(other, ["checkout"])

    assert [item.fault for item in diagnose(found, Incident("?", ("checkout",))).findings] == ["NET-12"]
    assert not [asked for asked in other.asked if asked[1] == "kube-system"]


async def test_kubelets_are_asked_for_waiting_where_a_limit_is_nearly_used() -> None:
    """Use comes first; without a sample nobody is asked."""
    asked = Memory(scenes.waits_for_cpu(Names()), measured=True)
    silent = Memory(scenes.waits_for_cpu(Names()))

    found = await take(asked, ["checkout"])
    await take(silent, ["checkout"])

    assert [item.fault for item in diagnose(found, Incident("?")).findings] == ["CON-21"]
    assert not [item for item in silent.asked if item[0] == "throttling"]


async def test_a_refused_and_a_late_list_are_gaps() -> None:
    """The rest is there, and what is missing is named with its reason."""
    reader = Memory(world.oom_killed(), errors={"ReplicaSet": Unknown("replicasets is forbidden")}, hangs="Event")

    found = await take(reader, ["checkout"], deadline=0.05)

    said = {str(gap) for gap in found.gaps}
    assert "ReplicaSet in namespace checkout could not be read: replicasets is forbidden" in said
    assert "Event in namespace checkout could not be read: no answer within 0.05 s" in said
    assert len(found.objects["Pod"]) == 3


@pytest.mark.parametrize("error", [Unreachable("no connection"), NotAllowed("expired")])
async def test_a_cluster_that_does_not_answer_is_an_error(error: Exception) -> None:
    """There is no snapshot of nothing."""
    with pytest.raises(type(error)):
        await take(Memory(world.healthy(), errors={"now": error}), ["checkout"])


async def test_logs_of_failing_containers_are_read_and_of_others_not() -> None:
    """A few of each workload; what the kubelet removed is no gap."""
    found = await take(Memory(world.missing_variable()), ["checkout"])

    assert {log.previous for log in found.logs} == {True}
    assert len(found.logs) == 2
    assert not found.gaps_in("Log")
    assert failing(world.healthy().objects["Pod"], world.NOW) == []
    crowd = [
        world.pod(Names(), world.container(Names(), "x"), world.ended(1, "Error", restarts=index), index=index)
        for index in range(50)
    ]
    assert len(failing(crowd, world.NOW)) <= 50 * LOGS_PER_WORKLOAD
    assert failing(crowd, world.NOW)[0][1].restarts == 49


@pytest.mark.parametrize(
    ("words", "read", "heard"),
    [
        ("the shop shows errors", ("checkout",), 1),
        ("is everything all right here?", ("checkout",), 0),
        ("", ("checkout",), 0),
        ("the shop shows errors", (), 0),
    ],
)
async def test_who_runs_is_heard_where_nobody_fails_and_somebody_complains(
    words: str, read: tuple[str, ...], heard: int
) -> None:
    """One pod of the workload: what it asks may not answer, and only its log tells."""
    healthy = Memory(world.healthy())
    await take(healthy, read, words=words)

    assert sum(kind == "Log" for kind, _ in healthy.asked) == heard


async def test_nobody_else_is_heard_where_somebody_fails() -> None:
    """The failing one's log tells."""
    broken = Memory(world.missing_variable())
    await take(broken, ("checkout",), words="the shop shows errors")
    quiet = Memory(world.missing_variable())
    await take(quiet, ("checkout",))

    assert broken.asked.count(("Log", "checkout")) == quiet.asked.count(("Log", "checkout"))


async def test_a_container_that_runs_and_is_not_ready_has_something_to_say() -> None:
    """Not while it starts; and a ready one is left alone."""
    names = Names()
    spec = world.container(names, "payment-svc:v2.4.1")
    for started, late in (("2026-05-04T10:21:50Z", False), ("2026-05-04T10:21:30Z", True)):
        status = {"state": {"running": {"startedAt": started}}}
        assert bool(failing([world.pod(names, spec, status)], world.NOW)) is late
        assert failing([world.pod(names, spec, status, serves=True)], world.NOW) == []


async def test_the_logs_of_a_job_that_failed_are_read_of_its_newest_pod() -> None:
    """Its pods are finished, and only they know why; a Job that is at work still is no matter of this."""
    scene = scenes.failed_job(Names())
    found = await take(Memory(scene), ["checkout"])

    assert [(log.pod, log.container) for log in found.logs] == [("export-b", "main")]
    (said,) = diagnose(found, Incident("?")).findings
    assert (said.fault, str(said.object)) == ("JOB-01", "Job/checkout/export")
    assert "DB_URL is not set" in said.title
    del scene.objects["Job"][0]["status"]["conditions"]
    assert (await take(Memory(scene), ["checkout"])).logs == ()


async def test_refused_logs_are_a_gap() -> None:
    """Not being allowed to read a log is not an empty log."""
    found = await take(Memory(world.missing_variable(), errors={"Log": Unknown("forbidden")}), ["checkout"])

    assert found.logs == ()
    assert found.gaps_in("Log")


async def test_the_other_namespaces_count_where_memory_or_room_is_short() -> None:
    """What they reserve on each node is summed; where nothing is short they are not read."""
    short, elsewhere = world.oom_killed(), world.healthy(Names(namespace="other"))
    both = {kind: [*items, *elsewhere.objects.get(kind, [])] for kind, items in short.objects.items()}
    reader = Memory(msgspec.structs.replace(short, objects=both))

    found = await take(reader, ["checkout"])

    assert found.elsewhere == (Load("node-a", 3 * 128 * 2**20, 0.3, 3),)
    assert {at(item, "metadata", "namespace") for item in found.objects["Pod"]} == {"checkout"}
    well = await take(Memory(world.healthy()), ["checkout"])
    assert well.elsewhere is None


async def test_a_list_that_was_cut_says_so() -> None:
    """Events by the ten thousand are not all read, and that is a gap."""
    crowd = world.healthy()
    event = {"kind": "Event", "metadata": world.meta("e", "checkout"), "involvedObject": {}}
    crowd.objects["Event"] = [event] * 5001

    found = await take(Memory(crowd), ["checkout"])

    assert len(found.objects["Event"]) == 5000
    assert [str(gap) for gap in found.gaps_in("Event")] == [
        "Event in namespace checkout could not be read: only the first 5000 were read"
    ]


async def test_words_choose_what_is_read() -> None:
    """The namespace in the words is read alone; without one, everything is."""
    reader = Memory(world.oom_killed())

    snapshot, diagnosis = await investigate(reader, Incident("pods crash in the checkout namespace"))
    everything, _ = await investigate(reader, Incident("pods crash"))

    assert snapshot.namespaces == ("checkout",)
    assert [item.fault for item in diagnosis.findings] == ["CON-07"]
    assert everything.namespaces == ()


@pytest.mark.parametrize(("text", "read"), [("errors on checkout", ("checkout",)), ("errors by default", ())])
async def test_a_hint_is_followed_first_and_not_trusted(text: str, read: tuple[str, ...]) -> None:
    """Where the hinted namespace is well, or holds nothing, the others are read before anybody says so."""
    found = world.oom_killed()
    found.objects["Namespace"].append({"kind": "Namespace", "metadata": world.meta("default")})

    snapshot, diagnosis = await investigate(Memory(found), Incident(text))

    assert snapshot.namespaces == read
    assert [item.fault for item in diagnosis.findings] == ["CON-07"]


async def test_an_object_that_is_elsewhere_is_found_there() -> None:
    """The words name a namespace that does not hold the object: all are read, and the correction is said."""
    found = world.oom_killed()
    found.objects["Namespace"].append({"kind": "Namespace", "metadata": world.meta("billing")})

    snapshot, diagnosis = await investigate(Memory(found), Incident("payment-service crashes in the billing namespace"))

    assert snapshot.namespaces == ()
    assert [str(item.object) for item in diagnosis.findings] == ["Deployment/checkout/payment-service"]
    assert "payment-service is not in billing but in checkout." in diagnosis.notes


async def test_what_a_given_namespace_lacks_is_looked_up_elsewhere() -> None:
    """The given one alone is read and judged; where the named object lies is said, and how to look there."""
    found = world.oom_killed()
    found.objects["Namespace"].append({"kind": "Namespace", "metadata": world.meta("billing")})
    asked = Incident("payment-service crashes", namespaces=("billing",))

    snapshot, diagnosis = await investigate(Memory(found), asked)
    refused, unsaid = await investigate(Memory(found, errors={"StatefulSet": Unknown("forbidden")}), asked)

    assert snapshot.namespaces == refused.namespaces == ("billing",)
    assert diagnosis.findings == ()
    assert diagnosis.notes[:2] == (
        "payment-service is not in billing but in checkout.",
        "Only billing was read, as was asked: -n checkout looks there.",
    )
    assert not any("but in" in note for note in unsaid.notes)


async def test_a_given_namespace_must_exist() -> None:
    """The nearest names are said."""
    with pytest.raises(BadInput, match="There is no namespace 'chekout'") as caught:
        await investigate(Memory(world.healthy()), Incident("pods crash", namespaces=("chekout",)))

    assert "checkout" in caught.value.next_step


async def test_where_namespaces_may_not_be_listed_the_given_one_is_read() -> None:
    """A refused list of namespaces does not keep us from the one that was named."""
    reader = Memory(world.oom_killed(), errors={"Namespace": Unknown("forbidden")})

    _, diagnosis = await investigate(reader, Incident("pods crash", namespaces=("checkout",)))

    assert [item.fault for item in diagnosis.findings] == ["CON-07"]
    assert "Namespace could not be read: forbidden." in diagnosis.notes


async def test_a_certificate_that_does_not_say_so_exists() -> None:
    """A Secret of type Opaque is served as any other is; nothing else of that type is kept."""
    scene = world.snapshot([*scenes.serving(Names()), *scenes.entrance(Names(), "made-by-hand")])
    made = {**scenes.certificate(Names(), "made-by-hand", ends="2027-01-01T00:00:00Z"), "type": "Opaque"}
    other = {**scenes.certificate(Names(), "other", ends="2027-01-01T00:00:00Z"), "type": "Opaque"}
    scene.objects["Secret"] = [made, other]

    found = await take(Memory(scene), ["checkout"])

    assert found.objects["Secret"] == [made]
    assert diagnose(found, Incident("?")).findings == ()
    made["certificate"]["notAfter"] = "2026-01-01T00:00:00Z"
    found = await take(Memory(scene), ["checkout"])
    assert [item.fault for item in diagnose(found, Incident("?")).findings] == ["NET-09"]


async def test_what_is_served_and_was_not_read_exists() -> None:
    """Above the bound, their names remain."""
    names = [f"tls-{number}" for number in range(pointed.CERTIFICATES + 3)]
    scene = world.snapshot([*scenes.serving(Names()), *scenes.entrance(Names(), names[0])])
    entrance = scene.objects["Ingress"][0]
    entrance["spec"]["tls"] = [{"hosts": ["shop.example"], "secretName": name} for name in names]
    scene.objects["Secret"] = [scenes.certificate(Names(), name, ends="2027-01-01T00:00:00Z") for name in names]

    found = await take(Memory(scene), ["checkout"])

    assert {item["metadata"]["name"] for item in found.objects["Secret"]} == set(names)
    assert len([item for item in found.objects["Secret"] if "certificate" in item]) == pointed.CERTIFICATES
    assert diagnose(msgspec.structs.replace(found, gaps=()), Incident("?")).findings == ()
