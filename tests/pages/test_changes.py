"""Several requests in one proposal: each by its object, its verb and its diff; what no dry run shows is said."""

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.part import previews
from skyflo_runbooks.service.pages.changes import changes
from skyflo_runbooks.service.pages.diff import MAX_LINES, MAX_WIDTH
from tests.pages.views import DIFF, view

NODE = {"object": "Node/worker-2", "verb": "patch", "preview": "server", "diff": "@@ Node worker-2 · spec\n+cordoned"}
RUN = {
    "object": "Pod/checkout/web-0",
    "verb": "run",
    "preview": "none",
    "diff": "",
    "container": "web",
    "command": ["sh", "-c", "rm -rf /tmp/* && echo 'done'"],
}


def evict(name: str) -> Json:
    """A pod that a drain evicts."""
    diff = f"@@ Pod checkout/{name} (deleted)\n-kind: Pod\n-name: {name}"
    return {"object": f"Pod/checkout/{name}", "verb": "evict", "preview": "server", "diff": diff}


def test_one_change_is_its_diff_alone() -> None:
    """No number and no heading where there is one object."""
    one = {"object": "Deployment/checkout/payment-service", "verb": "patch", "preview": "server", "diff": DIFF}
    said = changes(view(parts=[one])).html
    assert "memory: 512Mi" in said
    assert "<h2" not in said
    assert said == changes(view()).html


def test_each_of_several_is_numbered_with_its_object() -> None:
    """The object stands in the head of its part and not once more in the diff; the place in it stays."""
    said = changes(view(parts=[NODE, {**NODE, "object": "Node/worker-3", "diff": "@@ Node worker-3 (new)\n+x"}])).html
    assert '<span class="soft">1 of 2</span> Change <b>Node/worker-2</b>' in said
    assert '<span class="soft">2 of 2</span> Change <b>Node/worker-3</b>' in said
    assert "@@ spec" in said
    assert "@@ Node" not in said


def test_evictions_are_a_line_each() -> None:
    """Forty pods are forty lines; the manifests stand together under one fold."""
    said = changes(view(parts=[NODE, *(evict(f"web-{number}") for number in range(40))])).html
    assert said.count("Evict <b>Pod/checkout/web-") == 40
    assert said.count("<details>") == 1
    assert said.index("Evict <b>Pod/checkout/web-39") < said.index("<details>")


def test_a_command_is_shown_argument_by_argument_and_cannot_be_previewed() -> None:
    """Quoted as a shell would need it, in one line; the card says that nothing can show beforehand what it does."""
    said = changes(view(diff="", parts=[RUN])).html
    assert "Run <b>in web of Pod/checkout/web-0</b>" in said
    assert "sh -c &#x27;rm -rf /tmp/* &amp;&amp; echo" in said
    assert previews(view(parts=[RUN])) == ["Nothing can preview this: what it does is known when it has run."]
    named = {"unknown": ["what is run in Pod/checkout/web-0 cannot be tried beforehand"]}
    assert previews(view(parts=[RUN], impact=named)) == []


def test_what_cannot_be_previewed_yet_says_so() -> None:
    """An object in a namespace that the proposal makes first."""
    later = {"object": "ConfigMap/demo/settings", "verb": "apply", "preview": "later", "diff": ""}
    given = view(parts=[{**NODE, "verb": "create"}, later])
    assert "It cannot be previewed before those ahead of it were applied." in changes(given).html
    assert previews(given) == ["Not to be tried before what stands ahead was applied: ConfigMap/demo/settings."]
    assert previews(view()) == []
    many = [{**later, "object": f"ConfigMap/demo/{place}"} for place in range(12)]
    (said,) = previews(view(parts=[NODE, *many]))
    assert said.endswith("ConfigMap/demo/9 and 2 more.")


def test_what_is_not_shown_whole_is_not_whole() -> None:
    """Too many lines over all parts, a line that is too long in any of them, or a command that is."""
    many = {**NODE, "diff": "+a\n" * (MAX_LINES // 2 + 1)}
    assert not changes(view(parts=[many, many])).whole
    assert not changes(view(parts=[NODE, {**NODE, "diff": "+" + "x" * MAX_WIDTH}])).whole
    assert not changes(view(parts=[{**RUN, "command": ["echo", "x" * MAX_WIDTH]}])).whole
    assert changes(view(parts=[NODE, RUN])).whole


def test_a_deletion_without_a_diff_is_still_said() -> None:
    """Never an empty box."""
    gone = {"object": "Job/shop/import", "verb": "delete", "preview": "server", "diff": ""}
    assert "The object is deleted." in changes(view(parts=[gone, NODE])).html
