"""What is inside the grammar, what is free code, and why: nothing outside may run by itself."""

import pytest

from skyflo_runbooks.notebook import write
from skyflo_runbooks.notebook.cell import OutsideGrammar
from skyflo_runbooks.notebook.compile import compile_plan
from skyflo_runbooks.notebook.grammar import classify, classify_cells, parse_cell
from tests.notebook import examples

FREE = [
    "import os",
    "from os import system",
    "from skyflo_kernel import runbook as r",
    "from skyflo_kernel import *",
    "from .skyflo_kernel import runbook",
    "from skyflo_kernel.gateway import Gateway",
    "print(1)",
    "x = 1 + 1",
    "x = y = 1",
    "x += 1",
    "x: list = []",
    "x: str",
    "x: print('hi') = 1",
    "x: 'str' = 'a'",
    "runbook = 1",
    "check: str = 'a'",
    "In: str = 'a'",
    "runbook_id: str = 'rb-1'",
    "_: str = 'a'",
    "a.b = 1",
    "a[0] = 1",
    "x = f'{1}'",
    "x = b'a'",
    "x = ...",
    "x = 1e999",
    "x = runbook.read",
    "x = runbook.read()",
    "x = runbook.read(tool)",
    "x = runbook.read('a', 'b')",
    "x = runbook.read('a', **arguments)",
    "x = runbook.read(*tools)",
    "x = runbook.read('a', b=open('f'))",
    "x = runbook.read('a', b=[i for i in c])",
    "x = runbook.read('a', b=lambda: 1)",
    "x = runbook.read('a', b={**c})",
    "x = runbook.read('a', b={'c': 1, 'c': 2})",
    "x = runbook.read('a', b={'$param': 'c'})",
    "x = runbook.read('a', b=runbook)",
    "x = runbook.read('a', b=c.d)",
    "x = runbook.read('a', b=(1, 2))",
    "x = runbook.read('a', b=+1)",
    "x = runbook.read('a')\ny = runbook.read('a')",
    "x = y = runbook.read('a')",
    "x, y = runbook.read('a')",
    "x: str = runbook.read('a')",
    "runbook.read('a').value",
    "runbook.exec('a')",
    "runbook._gateway()",
    "await runbook.read('a')",
    "x = [runbook.read('a')]",
    "del runbook",
    "x = runbook.gather('a')",
    "x = runbook.gather(a='k8s_get')",
    "x = runbook.gather(a=('k8s_get', b))",
    "x = runbook.gather(a=('k8s_get', {1: 2}))",
    "x = runbook.change('a', why=reason)",
    "x = runbook.verify(check.no_such_check())",
    "x = runbook.verify(check.endpoints_ready())",
    "x = runbook.verify(check.endpoints_ready('s', namespace='n'), after=c)",
    "x = runbook.verify(check.endpoints_ready('s', namespace='n'), after=[c()])",
    "x = runbook.verify(check.endpoints_ready('s', namespace='n'), within=w)",
    "x = runbook.verify(other.endpoints_ready('s', namespace='n'))",
    "runbook.rollback('c')",
    "runbook.rollback(c, d)",
    "runbook.record(1)",
    "!ls",
    "%run x.py",
    "%%bash\nls",
    "x = runbook.read('a')\n!ls",
    "x = !ls",
    "x = runbook.read('a') #\u2028!ls",
    "x = runbook.read('a') #\x0c!ls",
    "x = runbook.read('a') #\x85!ls",
    "x = runbook.read('a') #\r!ls",
    "x = runbook.read('a', b='''\n>>> '''\n)",
    "x = (" * 200 + ")" * 200,
    "x = runbook.read('a', b=" + "[" * 5000 + "]" * 5000 + ")",
    "if True:\n    x = runbook.read('a')",
    "x = 'a' if y else 'b'",
    "\x00",
]


@pytest.mark.parametrize("source", FREE, ids=range(len(FREE)))
def test_free_code_is_never_taken_for_a_step(source: str) -> None:
    """Each of these is free code, with a reason and a line, and not run by itself."""
    known = {"c", "d", "y", "b", "w", "reason"}
    assert classify(source, known, known) == "free"
    (found,) = classify_cells([source])
    assert not found.auto_run


@pytest.mark.parametrize("source", FREE[:10])
def test_free_code_is_named_with_a_line(source: str) -> None:
    """The refusal says which rule, and where."""
    with pytest.raises(OutsideGrammar) as caught:
        parse_cell(source)
    assert caught.value.rule
    assert caught.value.line >= 1
    assert caught.value.message


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("", "empty"),
        ("# only words", "empty"),
        ("x: str = 'a'  # help\ny: int = -3\nz: float = 1\nw: bool = True", "parameters"),
        ("# Parameters\nmemory_limit = '1Gi'\n", "parameters"),
        ("from skyflo_kernel import runbook", "import"),
        ("from skyflo_kernel import check, runbook\n\nrunbook_id: str = 'rb-1'\nrunbook_cluster: str = 'u'", "import"),
        ("runbook.read('k8s_get')", "read"),
        ("p = runbook.read('k8s_get', kind='Pod', n=None, m=[-1, {'a': True}])", "read"),
        ("s = runbook.gather(a=('k8s_get', {'kind': 'Pod'}))", "read"),
        ("c = runbook.change('k8s_scale', replicas=3, why='more')", "change"),
        ("v = runbook.verify(check.endpoints_ready('s', namespace='n'), within='1m')", "verify"),
        ("runbook.record()", "record"),
    ],
)
def test_each_form_has_its_kind(source: str, kind: str) -> None:
    """Every form of the grammar is recognised."""
    assert classify(source) == kind


def test_a_name_that_nobody_declared_makes_a_cell_free() -> None:
    """A bare name is a parameter of a cell above, or the cell does not run by itself."""
    source = "p = runbook.read('k8s_get', namespace=namespace)"
    assert classify(source) == "free"
    assert classify(source, {"namespace"}) == "read"


def test_a_step_is_named_only_after_it_ran() -> None:
    """`after` and `rollback` name steps of the cells above."""
    assert classify("runbook.rollback(c)") == "free"
    assert classify("runbook.rollback(c)", (), {"c"}) == "rollback"


def test_a_whole_runbook_is_classified() -> None:
    """Each code cell of the flagship has its kind; only imports, parameters and reads run by themselves."""
    cells = [cell for cell in compile_plan(examples.flagship())["cells"] if cell["cell_type"] == "code"]
    found = classify_cells([cell["source"] for cell in cells])
    assert [item.kind for item in found] == [
        "parameters",
        "import",
        "read",
        "read",
        "change",
        "verify",
        "rollback",
        "record",
    ]
    assert [item.auto_run for item in found] == [True, True, True, True, False, False, False, False]
    assert found[5].after == ("raise_memory",)


def test_a_step_that_assigns_no_name_has_an_id() -> None:
    """The id follows from the call."""
    step = parse_cell("runbook.read('k8s_get')").step
    assert step is not None
    assert step.id == "k8s_get"
    assert parse_cell(write.step_cell(examples.change_step())).parameters == ("namespace", "memory_limit")
