"""The notebook's table of what changed: the begin of the symptom among it, and nothing that could look like a cell."""

from skyflo_runbooks.diagnosis import diagnose
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.plan import ProseStep
from skyflo_runbooks.planning import plan
from tests.diagnosis import world
from tests.planning.tries import Tries

WORDS = Incident("payment-service crashes")


async def test_the_time_line_is_a_table_before_the_evidence() -> None:
    """A new revision, then the begin; the text is escaped."""
    found = world.missing_variable()
    found.objects["Service"][0]["metadata"]["managedFields"] = [
        {"manager": "<b>|x", "time": "2026-05-04T10:00:30Z", "fieldsV1": {"f:spec": {"f:selector": {}}}}
    ]

    made = await plan(diagnose(found, WORDS), WORDS, found, Tries())

    assert made is not None
    step = made.steps[0]
    assert isinstance(step, ProseStep)
    rows = step.text.splitlines()
    assert rows[0] == "## What changed around it"
    relative = [row.split(" | ")[1] for row in rows if row.startswith("| 2026")]
    assert "began" in relative
    assert relative.index("began") > 0
    assert "<b>" not in step.text
    assert all(row.count(" | ") == 4 for row in rows if row.startswith("| 2026"))


async def test_without_changes_there_is_no_table() -> None:
    """Nothing is made up."""
    found = world.healthy()

    made = await plan(diagnose(found, WORDS), WORDS, found, Tries(), insist=True)

    assert made is not None
    assert not any(isinstance(step, ProseStep) and "What changed" in step.text for step in made.steps)
