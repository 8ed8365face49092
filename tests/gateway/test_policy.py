"""Conditions one by one, and the law over all of them: whoever adds one admits nothing more."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.gateway.identity import Identity, Rank, person
from skyflo_runbooks.gateway.policy.base import AllOf, Case, Policy, weight
from skyflo_runbooks.gateway.policy.calendar import within
from skyflo_runbooks.gateway.policy.compose import compose
from skyflo_runbooks.gateway.policy.file import DAYS, RANKS, Binding, PolicyFile, Window
from skyflo_runbooks.gateway.policy.roles import Roles, covers
from skyflo_runbooks.model.digest import Binding as Bound
from skyflo_runbooks.model.errors import BadInput, NotAllowed
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.proposal import Assessment, Impact, Origin, Proposal, ProposalId, Risk
from skyflo_runbooks.model.request import Request, Verb

WEDNESDAY = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
BOB = Identity("operator", "bob", "admin")
KEY = "a" * 64
AGO = tuple(WEDNESDAY - timedelta(minutes=minutes) for minutes in (50, 40, 10))


def proposal(
    *, risk: Risk = "low", namespace: str = "checkout", verb: Verb = "patch", asked: str = "operator:alice",
    irreversible: str = "",
) -> Proposal:  # fmt: skip
    """Return a proposal of which conditions see what matters to them."""
    target = ObjectRef("Deployment", "web", namespace)
    bound = Bound("c", (), "", "", asked, "p", "n", "2026-07-01T11:00:00Z", "2026-07-01T13:00:00Z")
    return Proposal(
        id=ProposalId("ap-000000"), tool="k8s_patch", arguments={}, title="t", why="w", origin=Origin(asked),
        requests=(Request(verb, target, "/x", {}),), binding=bound, digest="d", diff="", impact=Impact(),
        assessment=Assessment(risk, (), "", irreversible), equivalent="", created="",
    )  # fmt: skip


def case(made: Proposal | None = None, **more: Any) -> Case:
    """Return a case with all evidence there is, but for what `more` says."""
    given_: dict[str, Any] = {"who": BOB, "now": WEDNESDAY, "recent": (), "access": (), "key": KEY, "passkey": "pk"}
    return Case(proposal=made or proposal(), **{**given_, **more})


def admits(policy: Policy, one: Case) -> bool:
    """Return whether a policy admits a case."""
    try:
        policy.admit(one)
    except NotAllowed:
        return False
    return True


def read(**members: Any) -> PolicyFile:
    """Return what the file's `[policy]` says, read as the command reads it."""
    return msgspec.convert(members, PolicyFile)


WINDOW = {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "18:00", "timezone": "Europe/Berlin"}
FREEZE = {"from": "2026-07-01T00:00:00Z", "to": "2026-07-02T00:00:00Z", "reason": "year-end"}
APPROVERS = [{"role": "approver", "operators": ["bob", "eve"], "namespaces": ["check*"], "up_to": "medium"}]


@pytest.mark.parametrize(
    ("file", "admitted", "refused"),
    [
        ({"not_the_requester": True}, case(), case(who=Identity("operator", "alice", "admin"))),
        ({"not_the_requester": True}, case(proposal(asked="kernel:nb for alice")), case(proposal(asked="kernel:nb"))),
        ({"passkey_from": "medium"}, case(passkey=""), case(proposal(risk="medium"), passkey="")),
        ({"passkey_from": "high"}, case(passkey=""), case(proposal(irreversible="data is lost"), passkey="")),
        ({"irreversible": {"passkey": True}}, case(passkey=""), case(proposal(irreversible="lost"), passkey="")),
        ({"approvals_per_hour": 3}, case(recent=AGO[:2]), case(recent=AGO)),
        ({"approvals_per_hour": 3}, case(), case(recent=None)),
        ({"windows": [WINDOW]}, case(), case(now=WEDNESDAY.replace(hour=17))),
        ({"windows": [{**WINDOW, "namespaces": ["prod"]}]}, case(now=WEDNESDAY.replace(hour=23)),
         case(proposal(namespace="prod"), now=WEDNESDAY.replace(hour=23))),
        ({"freezes": [FREEZE]}, case(now=WEDNESDAY.replace(day=2)), case()),
        ({"bindings": APPROVERS}, case(), case(proposal(risk="high"))),
        ({"bindings": APPROVERS}, case(), case(proposal(namespace="payments"))),
        ({"bindings": APPROVERS}, case(), case(proposal(namespace=""))),
        ({"bindings": APPROVERS}, case(), case(who=Identity("operator", "mallory", "admin"))),
        ({"bindings": APPROVERS}, case(), case(who=Identity("operator", "bob", "requester"))),
        ({"operators": {"bob": {"kubernetes_user": "b"}}}, case(), case(access=None)),
        ({"operators": {"bob": {"kubernetes_user": "b"}}}, case(), case(access=("b may not patch",))),
        ({"operators": {"eve": {"kubernetes_user": "e"}}, "impersonate": True},
         case(who=Identity("operator", "eve", "admin")), case()),
        ({"operators": {"bob": {"keys": [KEY]}}}, case(), case(key="b" * 64)),
        ({}, case(), case(who=Identity("kernel", "bob", "admin"))),
        ({}, case(), case(who=Identity("operator", "bob", "requester"))),
        ({}, case(proposal(verb="delete"), typed="web"), case(proposal(verb="delete"), typed="wed")),
        ({}, case(), case(typed="something")),
    ],
)  # fmt: skip
def test_each_condition_admits_and_refuses(file: Json, admitted: Case, refused: Case) -> None:
    """By its own evidence, and by nothing else; what is missing refuses."""
    policy = compose(read(**file)).policy
    policy.admit(admitted)
    assert not admits(policy, refused)


@pytest.mark.parametrize("kind", ["Namespace", "CustomResourceDefinition"])
def test_what_takes_others_with_it_is_the_name_that_is_typed(kind: str) -> None:
    """The way back of an apply ends with the namespace that it made: that name is looked at."""
    gone = (ObjectRef("Deployment", "web", "fresh"), ObjectRef("Service", "web", "fresh"), ObjectRef(kind, "fresh"))
    made = msgspec.structs.replace(proposal(), requests=tuple(Request("delete", one, "/x", {}) for one in gone))
    policy = compose(read()).policy
    assert policy.asks(made).typed == "fresh and 2 more"
    assert admits(policy, case(made, typed="fresh and 2 more"))
    assert not admits(policy, case(made, typed="web and 2 more"))


def of_namespace(name: str) -> Proposal:
    """A change of a namespace itself."""
    target = ObjectRef("Namespace", name)
    return msgspec.structs.replace(proposal(), requests=(Request("patch", target, "/x", {}),))


@pytest.mark.parametrize(
    "file", [{"freezes": [{**FREEZE, "namespaces": ["prod-*"]}]}, {"windows": [{**WINDOW, "namespaces": ["prod-*"]}]}]
)
def test_what_holds_in_a_namespace_holds_for_it(file: Json) -> None:
    """It lies in no namespace, and whoever deletes it deletes everything in it."""
    policy, late = compose(read(**file)).policy, WEDNESDAY.replace(hour=23)
    assert not admits(policy, case(of_namespace("prod-eu"), now=late))
    assert admits(policy, case(of_namespace("staging"), now=late))
    assert policy.asks(of_namespace("prod-eu")).says
    assert policy.asks(of_namespace("staging")).says == ()


@pytest.mark.parametrize(
    ("verbs", "typed"),
    [(["delete", "delete", "patch"], "web-0 and 1 more"), (["patch", "delete"], "web-1"), (["evict", "patch"], "")],
)
def test_how_many_go_is_typed_with_the_first_name(verbs: list[Verb], typed: str) -> None:
    """A name alone would approve the deletion of what nobody looked at."""
    made = [Request(verb, ObjectRef("Deployment", f"web-{at}", "checkout"), "/x", {}) for at, verb in enumerate(verbs)]
    several = case(msgspec.structs.replace(proposal(), requests=tuple(made)), typed=typed)
    policy = compose(read()).policy

    assert admits(policy, several)
    for other in {"", "web-0", "web-0 and 2 more", "web-1"} - {typed}:
        assert not admits(policy, msgspec.structs.replace(several, typed=other))


def test_no_can_always_be_said() -> None:
    """In a freeze, without a passkey, above the rate, by who asked: a rejection needs the role alone."""
    file = read(
        freezes=[FREEZE], passkey_from="low", approvals_per_hour=1, not_the_requester=True,
        windows=[{**WINDOW, "days": ["sun"]}], operators={"bob": {"kubernetes_user": "b"}},
    )  # fmt: skip
    made = proposal(asked="operator:bob", verb="delete")
    compose(file).policy.admit(case(made, kind="reject", passkey="", recent=AGO * 3, access=None))


def test_without_a_condition_nothing_is_admitted() -> None:
    """Policies fail closed."""
    assert not admits(AllOf([]), case())
    assert AllOf([]).name == "none"


def test_a_higher_risk_never_takes_fewer() -> None:
    """And what has no way back takes the most."""
    bound = [{"role": "approver", "operators": ["a", "b", "c"]}]
    policy = compose(read(approvals={"medium": 2}, irreversible={"approvals": 3}, bindings=bound)).policy
    needed = [policy.asks(proposal(risk=risk)).approvals for risk in ("low", "medium", "high")]
    assert needed == [1, 2, 2]
    assert policy.asks(proposal(irreversible="lost")).approvals == 3
    assert weight(proposal(irreversible="lost")) == "high"


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ({"approvals": 2}, "whoever the first invites"),
        ({"approvals": 3, "bindings": APPROVERS}, "2 are bound"),
        ({"irreversible": {"approvals": 2}}, "bound by name"),
        ({"windows": [{**WINDOW, "timezone": "Mars/Olympus"}]}, "no time zone"),
        ({"freezes": [{**FREEZE, "to": "2026-06-01T00:00:00Z"}]}, "ends before"),
        ({"impersonate": True}, "no operator has one"),
        ({"operators": {"bob": {"groups": ["sre"]}}}, "no kubernetes_user"),
    ],
)
def test_what_cannot_be_kept_does_not_start(file: Json, says: str) -> None:
    """Each with what is wrong in it."""
    with pytest.raises(BadInput) as refused:
        compose(read(**file))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "file",
    [
        {"enabled": False}, {"approvals": 0}, {"approvals": {"low": 0}}, {"approvals_per_hour": 0},
        {"passkey_from": "never"}, {"typed_names": False}, {"bindings": [{"role": "owner", "operators": ["a"]}]},
        {"bindings": [{"role": "admin", "operators": []}]},
        {"bindings": [{"role": "admin", "operators": ["a"], "x": 1}]},
        {"windows": [{**WINDOW, "from": "8"}]}, {"windows": [{**WINDOW, "days": []}]},
        {"freezes": [{**FREEZE, "to": "2026-07-02T00:00:00"}]}, {"operators": {"bob": {"keys": ["short"]}}},
        {"operators": {"bob": {"approves_everything": True}}}, {"self_approval": True},
    ],
)  # fmt: skip
def test_what_is_no_member_is_refused(file: Json) -> None:
    """A wish to switch something off is not understood."""
    with pytest.raises(msgspec.ValidationError):
        read(**file)


@pytest.mark.parametrize(
    ("now", "inside"),
    [
        ("2026-07-03T20:30:00+00:00", True),  # Friday, 22:30 in Berlin
        ("2026-07-04T03:59:00+00:00", True),  # Saturday morning still belongs to Friday's window
        ("2026-07-04T04:00:00+00:00", False),
        ("2026-07-04T20:30:00+00:00", False),  # Saturday evening has none
        ("2026-12-04T20:30:00+00:00", False),  # in winter that is 21:30
        ("2026-12-04T21:00:00+00:00", True),
    ],
)
def test_a_window_over_midnight_by_its_own_clock(now: str, inside: bool) -> None:
    """Summer time and winter time are the window's, not the machine's."""
    window = Window(days=("fri",), from_="22:00", to="06:00", timezone="Europe/Berlin")
    assert within(window, datetime.fromisoformat(now)) is inside


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)))
def test_a_window_of_the_whole_week_is_always_open(now: datetime) -> None:
    """Whatever the hour changes do."""
    assert within(Window(days=DAYS, from_="00:00", to="00:00", timezone="Europe/Berlin"), now)


@pytest.mark.parametrize(
    ("requester", "who"),
    [
        ("operator:alice", "alice"), ("operator:a for b", "a for b"), ("kernel:notebook", ""),
        ("kernel:notebook for alice", "alice"), ("agent:graph for a b", "a b"), ("link:x", ""), ("", ""),
        ("kernel:a b for alice", ""),
    ],
)  # fmt: skip
def test_who_stands_behind_a_requester(requester: str, who: str) -> None:
    """A program's name has no spaces, so nobody's name is read out of it."""
    assert person(requester) == who


def test_what_lies_in_no_namespace_takes_the_star() -> None:
    """A pattern for teams does not reach nodes."""
    assert covers("*", "")
    assert not covers("team-*", "")
    assert not covers("?*", "")
    assert covers("team-*", "team-a")


@given(st.sampled_from(RANKS), st.sampled_from(RANKS))
def test_a_link_caps_what_a_binding_gives(bound: Rank, carried: Rank) -> None:
    """Neither exceeds the other."""
    roles = Roles((Binding(role=bound, operators=("bob",)),))
    held = roles.at(Identity("operator", "bob", carried), "checkout", "high")
    assert RANKS.index(held) == min(RANKS.index(bound), RANKS.index(carried))


def refusal(policy: Policy, one: Case) -> NotAllowed:
    """Return what a refused decision is told."""
    with pytest.raises(NotAllowed) as error:
        policy.admit(one)
    return error.value


@pytest.mark.parametrize(("most", "free"), [(3, "12:10:00"), (2, "12:20:00"), (1, "12:50:00")])
def test_the_hourly_limit_says_when_the_next_slot_is(most: int, free: str) -> None:
    """An hour after the approval that has to leave the hour; three were given at 11:10, 11:20 and 11:50."""
    said = refusal(compose(read(approvals_per_hour=most)).policy, case(recent=AGO))
    assert f"The next one can be given at {free} UTC." in said.next_step
    assert "3 approvals were given in the last hour" in said.message


def test_who_may_decide_is_named_to_who_may_not() -> None:
    """With the names that the bindings give; where nobody is bound, what to do about it."""
    policy = compose(read(bindings=APPROVERS)).policy
    assert refusal(policy, case(who=Identity("operator", "mallory", "admin"))).next_step == (
        "It may be decided by bob, eve."
    )
    assert "[[policy.bindings]]" in refusal(policy, case(proposal(namespace="payments"))).next_step
    assert "link of an approver" in refusal(compose(read()).policy, case(who=Identity("operator", "v"))).next_step


def test_where_nobody_else_is_left_the_card_says_so() -> None:
    """Who asked must not approve: whoever is left is named, and nobody is said as nobody."""
    bound = [{"role": "approver", "operators": ["alice", "bob"]}]
    both = compose(read(bindings=bound, not_the_requester=True)).policy
    assert both.asks(proposal()).says[-1] == "Not by who asked for it: operator:alice; that leaves bob."
    alone = compose(read(bindings=[{**bound[0], "operators": ["alice"]}], not_the_requester=True)).policy
    assert "that leaves nobody. Bind another approver" in alone.asks(proposal()).says[-1]
    assert "Nobody else may approve it." in refusal(alone, case(who=Identity("operator", "alice", "admin"))).next_step
    assert refusal(both, case(who=Identity("operator", "alice", "admin"))).next_step == "It may be approved by bob."
    free = compose(read(not_the_requester=True)).policy
    assert free.asks(proposal()).says == ("Not by who asked for it: operator:alice.",)
    assert "--new-link" in refusal(free, case(who=Identity("operator", "alice", "admin"))).next_step


def test_a_requester_without_a_person_is_said_on_the_card_with_the_way_out() -> None:
    """The token that comes with the gateway is nobody's: nobody can approve what it asks for."""
    policy = compose(read(bindings=APPROVERS, irreversible={"not_the_requester": True})).policy
    made = proposal(asked="kernel:notebook", irreversible="lost")
    said = policy.asks(made).says[-1]
    assert said.startswith("Nobody can approve it: who asks must not, and kernel:notebook names no person.")
    assert "tokens new notebook --role kernel" in said


@pytest.mark.parametrize(
    ("rank", "name", "said"),
    [
        ("admin", "bob", "approver in check* up to medium risk"),
        ("requester", "bob", "requester in check* up to medium risk"),
        ("admin", "mallory", "viewer: bound nowhere"),
    ],
)
def test_what_the_policy_leaves_of_a_rank_is_said(rank: Rank, name: str, said: str) -> None:
    """The lower of what the link carried and what is bound; without bindings the link's."""
    roles = compose(read(bindings=APPROVERS)).roles
    assert roles.says(Identity("operator", name, rank)) == said
    assert Roles().says(Identity("operator", name, rank)) == f"{rank} everywhere"


# Laws

risks = st.sampled_from(["low", "medium", "high"])
places = st.sampled_from(["checkout", "payments", ""])
moments = st.datetimes(datetime(2026, 6, 28), datetime(2026, 7, 6), timezones=st.just(UTC))
cases = st.builds(
    lambda risk, place, verb, asked, irreversible, who, rank, now, kind, typed, key, passkey, recent, access: Case(
        proposal=proposal(risk=risk, namespace=place, verb=verb, asked=asked, irreversible=irreversible),
        who=Identity(who[0], who[1], rank), now=now, kind=kind, typed=typed, key=key, passkey=passkey,
        recent=recent, access=access,
    ),
    risks, places, st.sampled_from(["patch", "delete"]),
    st.sampled_from(["operator:alice", "operator:bob", "kernel:nb", "kernel:nb for bob"]),
    st.sampled_from(["", "lost"]),
    st.tuples(st.sampled_from(["operator", "kernel"]), st.sampled_from(["alice", "bob", "eve"])),
    st.sampled_from(RANKS),
    moments, st.sampled_from(["approve", "reject"]), st.sampled_from(["", "web"]), st.sampled_from(["", KEY, "b" * 64]),
    st.sampled_from(["", "pk"]), st.sampled_from([None, (), AGO[:1], AGO]), st.sampled_from([None, (), ("no",)]),
)  # fmt: skip
PASSKEY_OR_OTHERS = {"passkey": st.just(True), "not_the_requester": st.just(True)}
PEOPLE = [{"kubernetes_user": "b"}, {"keys": [KEY]}, {"kubernetes_user": "b", "keys": [KEY]}]
conditions: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {},
    optional={
        "not_the_requester": st.just(True),
        "passkey_from": risks,
        "approvals_per_hour": st.integers(1, 4),
        "windows": st.just([WINDOW]),
        "freezes": st.just([FREEZE]),
        "irreversible": st.fixed_dictionaries({}, optional=PASSKEY_OR_OTHERS),
        "operators": st.fixed_dictionaries({"bob": st.sampled_from(PEOPLE)}),
    },
)


@given(conditions, conditions, cases)
def test_adding_conditions_never_admits_more(some: Json, others: Json, one: Case) -> None:
    """What the longer configuration admits, the shorter one admits as well, and both what a laptop has."""
    longer = compose(read(**{**others, **some})).policy
    if admits(longer, one):
        assert admits(compose(read(**some)).policy, one)
        assert admits(compose(read()).policy, one)


@given(conditions)
def test_what_always_holds_always_holds(file: Json) -> None:
    """No configuration is without the operator, the typed name and the role."""
    policy = compose(read(**file)).policy
    assert policy.name.startswith("paired-operator/v1+typed-deletions+")
    assert not admits(policy, case(who=Identity("agent", "bob", "admin")))
    assert not admits(policy, case(proposal(verb="delete"), typed=""))
    assert not admits(policy, case(who=Identity("operator", "bob", "viewer")))


@given(conditions, conditions, cases)
def test_the_same_name_is_the_same_policy(one: Json, other: Json, seen: Case) -> None:
    """The name enters every digest, so it must not be the name of two."""
    first, second = compose(read(**one)).policy, compose(read(**other)).policy
    if first.name == second.name:
        assert admits(first, seen) == admits(second, seen)
