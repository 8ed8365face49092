"""A plan as the rules make it for the flagship incident, and strategies for steps of any shape."""

import keyword
import string

from hypothesis import strategies as st

from skyflo_runbooks.model import check
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import (
    ChangeStep,
    GatherStep,
    Parameter,
    Plan,
    ProseStep,
    ReadCall,
    ReadStep,
    RecordStep,
    RollbackStep,
    Step,
    Target,
    VerifyStep,
    param,
)
from skyflo_runbooks.notebook.cell import is_name

NAMESPACE = param("namespace")
WORKLOAD = ("Deployment", "payment-service")


def verify_step() -> VerifyStep:
    """The flagship's verify step."""
    return VerifyStep(
        "recovered",
        (
            check.rollout_complete(*WORKLOAD, namespace=NAMESPACE),  # type: ignore[arg-type]  # a parameter's name
            check.no_restarts(*WORKLOAD, namespace=NAMESPACE, window=param("settle")),  # type: ignore[arg-type]
            check.http_ok(service="payment-service", namespace=NAMESPACE, path="/checkout"),  # type: ignore[arg-type]
        ),
        ("raise_memory",),
    )


def change_step() -> ChangeStep:
    """The flagship's change step."""
    return ChangeStep(
        "raise_memory",
        "k8s_set_resources",
        {
            "kind": "Deployment",
            "namespace": NAMESPACE,
            "name": "payment-service",
            "container": "payment-service",
            "limits": {"memory": param("memory_limit")},
        },
        "Each of the 14 restarts was OOMKilled at the 256Mi limit.",
    )


def flagship(*, cluster: str = "uid-1") -> Plan:
    """The flagship's plan."""
    finding = Finding(
        "CON-07",
        "payment-service is OOMKilled at its limit",
        ObjectRef("Deployment", "payment-service", "checkout"),
        0.97,
        (Evidence("Pod/checkout/payment-service-x", "2026-01-01T00:00:00Z", "OOMKilled, exit 137", "e1"),),
        ("Customers get 500 on /checkout",),
        related=(
            ObjectRef("Service", "payment-service", "checkout"),
            ObjectRef("Pod", "payment-service-x", "checkout"),
        ),
    )
    steps: tuple[Step, ...] = (
        ReadStep("pods", "k8s_get", {"kind": "Pod", "namespace": NAMESPACE}),
        GatherStep(
            "state",
            {
                "events": ReadCall("k8s_events", {"namespace": NAMESPACE}),
                "usage": ReadCall("k8s_top_pods", {"namespace": NAMESPACE}),
            },
        ),
        ProseStep("why", "## Change\n\nThe limit is raised to the next doubling."),
        change_step(),
        verify_step(),
        RollbackStep("roll_back_raise_memory", "raise_memory"),
        RecordStep("record"),
    )
    return Plan(
        id="rb-flagship",
        incident=Incident("payment-service pods are crash-looping", ("checkout",), "2026-01-01T00:00:00Z"),
        steps=steps,
        parameters=(
            Parameter("namespace", "str", "checkout", "where the workload runs"),
            Parameter("memory_limit", "str", "512Mi", "the new limit"),
            Parameter("settle", "str", "5s", "how long must nothing restart"),
        ),
        findings=(finding,),
        unknown=("Secrets could not be read",),
        target=Target(cluster, "practice", ("checkout",)),
        created="2026-01-01T00:00:00Z",
    )


names = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=12).filter(is_name)
texts = st.text(max_size=40)
numbers = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | texts
references = names.map(param)
values = st.recursive(
    scalars | references,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts.filter(lambda key: key != "$param"), inner, max_size=4)
    ),
    max_leaves=12,
)
argument_names = names.filter(lambda name: name != "why" and not keyword.iskeyword(name))
arguments = st.dictionaries(argument_names, values, max_size=5)
tools = st.text(min_size=1, max_size=20)


@st.composite
def checks(draw: st.DrawFn) -> Check:
    """Any check of the catalogue, with any values."""
    import inspect

    name = draw(st.sampled_from(sorted(check.CATALOGUE)))
    function = check.CATALOGUE[name]
    said = inspect.signature(function).parameters.values()
    positional = [draw(scalars | references) for item in said if item.kind is not item.KEYWORD_ONLY]
    chosen = [item for item in said if item.kind is item.KEYWORD_ONLY]
    keywords = {
        item.name: draw(scalars | references) for item in chosen if item.default is item.empty or draw(st.booleans())
    }
    return function(*positional, **keywords)


steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(ReadStep, names, tools, arguments),
    st.builds(
        GatherStep,
        names,
        st.dictionaries(
            names,
            st.builds(ReadCall, tools, st.dictionaries(texts.filter(lambda key: key != "$param"), values, max_size=4)),
            max_size=4,
        ),
    ),
    st.builds(ChangeStep, names, tools, arguments, texts),
    st.builds(
        VerifyStep, names, st.lists(checks(), max_size=4).map(tuple), st.lists(names, max_size=3).map(tuple), texts
    ),
    st.builds(RollbackStep, names, names),
    st.builds(RecordStep, names),
)
