"""Arguments by a tool's own JSON Schema: mostly right, sometimes hostile, sometimes of another type altogether."""

from typing import Any

from hypothesis import strategies as st

from skyflo_runbooks.model.json import Json

# What is there on the practice cluster of the tests, so that many calls get far.
KNOWN: dict[str, tuple[str, ...]] = {
    "kind": ("Deployment", "Pod", "Service", "Node", "ConfigMap", "Secret", "deployments.apps", "po", "Event"),
    "namespace": ("checkout", "default"),
    "name": ("payment-service", "storefront", "node-a", "checkout"),
    "container": ("payment-service", "storefront"),
    "node": ("node-a",),
    "image": ("payment-svc:v2.4.0",),
    "until": ("Available", "deleted", "rolled-out"),
    "path": ("/", "/checkout"),
    "since": ("5m",),
    "label_selector": ("app=payment-service", "app in (storefront)"),
}
# Bounds of waiting: what a law runs a thousand times is short.
_SHORT = {"seconds", "follow_seconds"}
HOSTILE = st.sampled_from([
    "", " ", "a\nb", "a\r\nHost: evil", "--as=admin", "-n", "../../secrets/x", "..", "a/../../b", "a%2f..%2fb", "a\0b",
    "a?dryRun=None", "a#b", "a;b", "$(id)", "`id`", "\u202ename", "ｎａｍｅ", "NAME", "x" * 300, "x" * 100_000, "a&b=c",
    "\ud800", "💥", "«entry»", "«masked:000000000000»", "{{7*7}}", "null", "0", "-1", "1e999", "a: &x [*x, *x]",
    "!!python/object/apply:os.system ['id']", "apiVersion: v1\nkind: Pod\nmetadata: {name: x}",
])  # fmt: skip
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | HOSTILE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def arguments(schema: Json) -> st.SearchStrategy[Json]:
    """Return arguments for a tool: each as its schema says, and now and then something else, or one too many."""
    required = schema.get("required", [])
    fields = {name: _field(name, rule, schema) for name, rule in schema["properties"].items()}
    right = st.fixed_dictionaries(
        {name: fields[name] for name in required},
        optional={name: one for name, one in fields.items() if name not in required},
    )
    wrong = st.dictionaries(st.sampled_from([*sorted(fields), "force", "dry_run", "__class__"]), ANYTHING, max_size=2)
    return st.builds(_together, right, st.one_of(st.just({}), st.just({}), st.just({}), wrong))


def _together(right: Json, wrong: Json) -> Json:
    return right | wrong


def _field(name: str, rule: Json, schema: Json) -> st.SearchStrategy[Any]:
    if name in _SHORT:
        return st.one_of(st.floats(min_value=0.001, max_value=0.02), st.sampled_from([0, -1, 10_000]))
    of_schema = value(rule, schema)
    if name in KNOWN and "enum" not in rule:
        return st.one_of(st.sampled_from(KNOWN[name]), st.sampled_from(KNOWN[name]), of_schema)
    return of_schema


def value(rule: Json, schema: Json) -> st.SearchStrategy[Any]:
    """Return values that a schema describes, its bounds included, and hostile texts where it takes a text."""
    if "$ref" in rule:
        return value(schema["$defs"][rule["$ref"].rpartition("/")[2]], schema)
    if "anyOf" in rule:
        return st.one_of(*(value(one, schema) for one in rule["anyOf"]))
    if "enum" in rule:
        return st.sampled_from(rule["enum"])
    kind = rule.get("type")
    if kind == "string":
        return st.one_of(st.text(max_size=12), HOSTILE)
    if kind == "integer":
        return st.integers(rule.get("minimum", -3), min(rule.get("maximum", 50), 50))
    if kind == "number":
        return st.floats(0.001, 3.0)
    if kind == "boolean":
        return st.booleans()
    if kind == "null":
        return st.none()
    if kind == "array":
        return st.lists(value(rule["items"], schema) if rule.get("items") else ANYTHING, max_size=4)
    if kind == "object":
        inner = rule.get("additionalProperties")
        keys = st.one_of(
            st.sampled_from(["payment-service", "memory", "cpu", "app", "spec"]), st.text(max_size=8), HOSTILE
        )
        return st.dictionaries(
            keys, value(inner, schema) if isinstance(inner, dict) and inner else ANYTHING, max_size=3
        )
    return ANYTHING
