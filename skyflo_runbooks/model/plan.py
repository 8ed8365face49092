"""A plan: the typed steps proposed for an incident, and the parameters they share.

Arguments are JSON. Where an argument is one of the plan's parameters it is written `{"$param": "memory_limit"}`;
in a cell the same thing is the bare name `memory_limit`.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec

from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json

ParameterType = Literal["str", "int", "float", "bool"]
PARAMETER = "$param"


class Parameter(msgspec.Struct, frozen=True):
    """One typed parameter with its default and a line of help.

    A `required` one has no default: an empty text or 0 stands there until a person gives a value. Its help ends with an
    example where the value has a form ("such as 512Mi").
    """

    name: str
    type: ParameterType
    default: str | int | float | bool
    help: str = ""
    required: bool = False

    @property
    def form(self) -> str | int | float | bool:
        """What a value is written like: the default, or the example where there is no default."""
        _, such, example = self.help.rpartition("such as ")
        return example.split()[0].rstrip(",;:)") if self.required and such and example else self.default


class ReadStep(msgspec.Struct, frozen=True, tag="read", tag_field="kind"):
    """One call of a read-only tool."""

    id: str
    tool: str
    arguments: Json = {}


class ReadCall(msgspec.Struct, frozen=True):
    """One of the calls of a gather."""

    tool: str
    arguments: Json = {}


class GatherStep(msgspec.Struct, frozen=True, tag="gather", tag_field="kind"):
    """Several read-only calls made side by side; `reads` are keyed by the name of each result."""

    id: str
    reads: dict[str, ReadCall] = {}


class ChangeStep(msgspec.Struct, frozen=True, tag="change", tag_field="kind"):
    """One call of a tool that changes something; it becomes a proposal."""

    id: str
    tool: str
    arguments: Json = {}
    why: str = ""


class VerifyStep(msgspec.Struct, frozen=True, tag="verify", tag_field="kind"):
    """Checks that judge the change steps named in `after`, within a duration."""

    id: str
    checks: tuple[Check, ...]
    after: tuple[str, ...] = ()
    within: str = "10m"


class RollbackStep(msgspec.Struct, frozen=True, tag="rollback", tag_field="kind"):
    """The way back of the change step named `of`; only an operator's own click or command starts it."""

    id: str
    of: str


class RecordStep(msgspec.Struct, frozen=True, tag="record", tag_field="kind"):
    """Shows the ledger's entries of this run."""

    id: str


class ProseStep(msgspec.Struct, frozen=True, tag="prose", tag_field="kind"):
    """Markdown between the steps."""

    id: str
    text: str


Step: TypeAlias = ReadStep | GatherStep | ChangeStep | VerifyStep | RollbackStep | RecordStep | ProseStep


class Target(msgspec.Struct, frozen=True):
    """The cluster that a plan was made for."""

    cluster: str = ""
    context: str = ""
    namespaces: tuple[str, ...] = ()


class Alternative(msgspec.Struct, frozen=True):
    """Another way to repair, which the operator may choose instead."""

    title: str
    tool: str
    arguments: Json
    why: str = ""


class Plan(msgspec.Struct, frozen=True):
    """The steps for one incident. `generator` is `rules`, `llm:<model>` or `curated`."""

    id: str
    incident: Incident
    steps: tuple[Step, ...]
    parameters: tuple[Parameter, ...] = ()
    findings: tuple[Finding, ...] = ()
    unknown: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    generator: str = "rules"
    target: Target = Target()
    created: str = ""


def param(name: str) -> Json:
    """Return the reference to a parameter, as an argument."""
    return {PARAMETER: name}


def bind(value: object, values: dict[str, str | int | float | bool]) -> object:
    """Return `value` with each parameter reference replaced by its value; an unknown name is `BadInput`."""
    if isinstance(value, dict):
        if set(value) == {PARAMETER}:
            name = str(value[PARAMETER])
            if name not in values:
                raise BadInput(f"The plan has no parameter named {name!r}.")
            return values[name]
        return {key: bind(item, values) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [bind(item, values) for item in value]
    return value


def parameters_in(template: object, value: object) -> dict[str, str | int | float | bool]:
    """Return the values that `value` has where `template` refers to parameters."""
    if not isinstance(template, dict):
        return {}
    if set(template) == {PARAMETER}:
        return {str(template[PARAMETER]): value} if isinstance(value, str | int | float | bool) else {}
    inner = value if isinstance(value, dict) else {}
    return {name: found for key in template for name, found in parameters_in(template[key], inner.get(key)).items()}


def place_of(template: object, name: str) -> str:
    """Return the dotted place at which `template` refers to the parameter `name`; empty where it does not."""
    if isinstance(template, dict):
        for key, inner in template.items():
            if inner == param(name):
                return str(key)
            below = place_of(inner, name)
            if below:
                return f"{key}.{below}"
    return ""


def missing(parameters: Iterable[Parameter], values: Mapping[str, str | int | float | bool]) -> tuple[Parameter, ...]:
    """Return the required parameters that neither `values` nor a default gives."""
    return tuple(
        item
        for item in parameters
        if item.required and values.get(item.name, item.default) in ("", 0) and item.type != "bool"
    )


def defaults(plan: Plan) -> dict[str, str | int | float | bool]:
    """Return each parameter's default by name."""
    return {parameter.name: parameter.default for parameter in plan.parameters}


def bind_check(check: Check, values: dict[str, str | int | float | bool]) -> Check:
    """Return the check with its parameters replaced by values."""
    return Check(check.name, {key: bind(item, values) for key, item in check.arguments.items()})
