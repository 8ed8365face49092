"""The Kubernetes tools: what there is, what each may do, and the one way in which all are called.

`call` checks the arguments against the tool's own signature, for the gateway's REST route and for MCP alike: an unknown
argument, a missing one or one of a wrong type is `BadInput` and nothing is read. A change tool answers with a
`Rendered` change; nothing here can send one.

A tool's *sealed* arguments hold secret values. Who calls it gives references or entries there, never the values
(`model.entry`); the gateway sees to it before it puts the values in.
"""

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec

from skyflo_mcp.kubernetes.change.apply import k8s_apply, k8s_create
from skyflo_mcp.kubernetes.change.autoscale import k8s_autoscale
from skyflo_mcp.kubernetes.change.claim import k8s_resize_claim
from skyflo_mcp.kubernetes.change.command import k8s_set_command
from skyflo_mcp.kubernetes.change.cronjob import k8s_cronjob_resume, k8s_cronjob_suspend
from skyflo_mcp.kubernetes.change.debug import k8s_debug
from skyflo_mcp.kubernetes.change.delete import k8s_delete
from skyflo_mcp.kubernetes.change.drain import k8s_drain
from skyflo_mcp.kubernetes.change.env import k8s_set_env
from skyflo_mcp.kubernetes.change.exec import k8s_cp, k8s_exec
from skyflo_mcp.kubernetes.change.expose import k8s_expose
from skyflo_mcp.kubernetes.change.image import k8s_set_image
from skyflo_mcp.kubernetes.change.job import k8s_create_job
from skyflo_mcp.kubernetes.change.metadata import k8s_annotate, k8s_label
from skyflo_mcp.kubernetes.change.nodes import k8s_cordon, k8s_uncordon
from skyflo_mcp.kubernetes.change.patch import k8s_patch
from skyflo_mcp.kubernetes.change.pause import k8s_rollout_pause, k8s_rollout_resume
from skyflo_mcp.kubernetes.change.port_forward import k8s_port_forward
from skyflo_mcp.kubernetes.change.probe import k8s_set_probe
from skyflo_mcp.kubernetes.change.release import k8s_remove_finalizer, k8s_remove_scheduling_gate
from skyflo_mcp.kubernetes.change.resources import k8s_set_resources
from skyflo_mcp.kubernetes.change.restart import k8s_rollout_restart
from skyflo_mcp.kubernetes.change.run_pod import k8s_run_pod
from skyflo_mcp.kubernetes.change.scale import k8s_scale
from skyflo_mcp.kubernetes.change.secret import k8s_set_secret
from skyflo_mcp.kubernetes.change.taint import k8s_taint, k8s_untaint
from skyflo_mcp.kubernetes.change.tolerate import k8s_tolerate
from skyflo_mcp.kubernetes.change.undo import k8s_rollout_undo
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.read.access import k8s_auth_can_i
from skyflo_mcp.kubernetes.read.certificate import k8s_certificate
from skyflo_mcp.kubernetes.read.describe import k8s_describe
from skyflo_mcp.kubernetes.read.disk import k8s_disk_usage
from skyflo_mcp.kubernetes.read.environment import k8s_environment
from skyflo_mcp.kubernetes.read.events import k8s_events
from skyflo_mcp.kubernetes.read.explain import k8s_explain
from skyflo_mcp.kubernetes.read.get import k8s_api_resources, k8s_get
from skyflo_mcp.kubernetes.read.http import k8s_http_get
from skyflo_mcp.kubernetes.read.info import k8s_cluster_info
from skyflo_mcp.kubernetes.read.logs import k8s_logs
from skyflo_mcp.kubernetes.read.rollouts import k8s_rollout_history, k8s_rollout_status
from skyflo_mcp.kubernetes.read.top import k8s_top_nodes, k8s_top_pods
from skyflo_mcp.kubernetes.read.waiting import LONGEST, k8s_wait, wait_for_x_seconds
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import Rendered

Effect = Literal["read", "change"]
Run = Callable[..., Awaitable[Json | Rendered]]
SECONDS = 30.0


class Tool(msgspec.Struct, frozen=True):
    """One tool. `replaces` is the upstream tool's name where ours differs.

    `sealed` are its arguments that hold secret values; `manifests` those in which a Secret's values must be references.
    `seconds` is how long one call may take.
    """

    name: str
    effect: Effect
    function: Run
    domain: str = "kubernetes"
    replaces: str = ""
    sealed: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    seconds: float = SECONDS

    @property
    def description(self) -> str:
        """What it does: the function's docstring."""
        return inspect.getdoc(self.function) or ""

    @property
    def schema(self) -> Json:
        """The JSON Schema of its arguments."""
        (_,), components = msgspec.json.schema_components([_arguments(self.function)], ref_template="#/$defs/{name}")
        return dict(components[_arguments(self.function).__name__])


_READS: tuple[Run, ...] = (
    k8s_get,
    k8s_describe,
    k8s_events,
    k8s_logs,
    k8s_top_pods,
    k8s_top_nodes,
    k8s_rollout_status,
    k8s_rollout_history,
    k8s_cluster_info,
    k8s_api_resources,
    k8s_explain,
    k8s_auth_can_i,
    k8s_environment,
    k8s_certificate,
    k8s_disk_usage,
    k8s_http_get,
    k8s_wait,
    wait_for_x_seconds,
)
_CHANGES: tuple[Run, ...] = (
    k8s_apply,
    k8s_create,
    k8s_set_resources,
    k8s_set_image,
    k8s_set_env,
    k8s_set_command,
    k8s_set_probe,
    k8s_tolerate,
    k8s_patch,
    k8s_label,
    k8s_annotate,
    k8s_scale,
    k8s_autoscale,
    k8s_rollout_restart,
    k8s_rollout_undo,
    k8s_set_secret,
    k8s_exec,
    k8s_cp,
    k8s_port_forward,
    k8s_debug,
    k8s_rollout_pause,
    k8s_rollout_resume,
    k8s_run_pod,
    k8s_create_job,
    k8s_cronjob_suspend,
    k8s_cronjob_resume,
    k8s_expose,
    k8s_resize_claim,
    k8s_cordon,
    k8s_uncordon,
    k8s_drain,
    k8s_taint,
    k8s_untaint,
    k8s_remove_scheduling_gate,
    k8s_remove_finalizer,
    k8s_delete,
)
_LONGEST = 200
_LARGEST = 2 * 2**20
_SEALED = {"k8s_set_secret": ("values",)}
_MANIFESTS = {"k8s_apply": ("content",), "k8s_create": ("manifest",)}
_WAITING = {"k8s_wait": LONGEST + SECONDS, "wait_for_x_seconds": LONGEST + SECONDS}


def _tools(functions: tuple[Run, ...], effect: Effect) -> dict[str, Tool]:
    names = [str(getattr(function, "__name__", "")) for function in functions]
    return {
        name: Tool(
            name,
            effect,
            function,
            sealed=_SEALED.get(name, ()),
            manifests=_MANIFESTS.get(name, ()),
            seconds=_WAITING.get(name, SECONDS),
        )
        for name, function in zip(names, functions, strict=True)
    }


TOOLS: dict[str, Tool] = _tools(_READS, "read") | _tools(_CHANGES, "change")


def tool(name: str) -> Tool:
    """Return the tool of that name, or raise `BadInput` with the nearest ones."""
    if name not in TOOLS:
        import difflib

        near = difflib.get_close_matches(name, TOOLS, n=3) or list(TOOLS)
        raise BadInput(f"There is no tool named {name[:80]!r}.", next_step=f"Near to it: {', '.join(near)}.")
    return TOOLS[name]


def checked(name: str, arguments: Json) -> Json:
    """Return the arguments as the tool takes them, complete with its defaults; else raise `BadInput`."""
    wanted = _arguments(tool(name).function)
    try:
        if len(msgspec.json.encode(arguments)) > _LARGEST:
            raise BadInput(f"`{name}`: the arguments are larger than {_LARGEST // 2**20} MiB.")
    except UnicodeEncodeError:
        raise BadInput(
            f"`{name}`: an argument holds half of a character.", next_step="Give text that is Unicode."
        ) from None
    try:
        converted = msgspec.convert(arguments, wanted)
    except msgspec.ValidationError as error:
        raise BadInput(f"`{name}`: {_said(str(error))}", next_step=_usage(name)) from None
    return {field: getattr(converted, field) for field in wanted.__struct_fields__}


async def call(cluster: Cluster, name: str, arguments: Json) -> Json | Rendered:
    """Run a tool: a read answers with its result, a change with what it would send."""
    return await tool(name).function(cluster, **checked(name, arguments))


@functools.cache
def _arguments(function: Run) -> type[msgspec.Struct]:
    """Return the type of a tool's arguments, made from its signature."""
    hints = typing.get_type_hints(function, include_extras=True)
    fields: list[Any] = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        kind = hints[parameter.name]
        given = parameter.default is not inspect.Parameter.empty
        fields.append((parameter.name, kind, parameter.default) if given else (parameter.name, kind))
    return msgspec.defstruct(str(getattr(function, "__name__", "")), fields, forbid_unknown_fields=True, kw_only=True)


def _said(error: str) -> str:
    """msgspec's words, with the argument's name in front: `replicas: expected int, got str.`"""
    what, _, where = error.partition(" - at `$.")
    text = what.replace("Object contains unknown field", "There is no argument").replace(
        "Object missing required field", "Missing"
    )
    if len(text) > _LONGEST:  # what was given may be as long as a request
        text = f"{text[:_LONGEST]}…"
    return f"{where[:_LONGEST].rstrip('`')}: {text}." if where else f"{text}."


def _usage(name: str) -> str:
    """How the tool is called, with the values that a choice allows."""
    properties, required = tool(name).schema["properties"], tool(name).schema.get("required", [])
    said = []
    for field, rule in properties.items():
        choices = next((one["enum"] for one in (rule, *rule.get("anyOf", ())) if "enum" in one), None)
        said.append(field + ("" if field in required else "?") + (f" ({', '.join(choices)})" if choices else ""))
    return f"It takes {', '.join(said)}."
