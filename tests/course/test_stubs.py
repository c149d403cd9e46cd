"""Stub and solution cells run by themselves, and a stub gives nothing of the answer away."""

import ast
import importlib.util
import inspect
import sys
import textwrap

import pytest

from pruneedu.course.exercises import lessons
from pruneedu.course.judging import check
from pruneedu.course.stubs import free_names, helpers, imports, solution, stub, without_docstring

EVERY = [exercise for lesson in lessons().values() for exercise in lesson.exercises]

SOURCE = '''
from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    import decimal as dec

    from pruneedu.data import Dataset, Split

LIMIT = 3
double = partial(pow, 2)


def measured(
    model: nn.Module, split: Split, step: dec.Decimal = LIMIT, metric: Callable = math.sqrt
) -> float:
    """Measure.

    A second paragraph.
    """
    secret = _helped(LIMIT)

    def inner(y):
        return y + double(2) + F.relu(torch.ones(1)).item() + np.ones(1).item()

    return inner(secret)


def _helped(y):
    return _check(_cached(y))


@cache
def _cached(y):
    return 2 * y


def _check(y):
    return y


def undocumented(x):
    secret = x
    return secret


def marked(x):
    """Return x."""
    if x:
        ### BEGIN SOLUTION
        secret = 2 * x
        x = secret / 2
        ### END SOLUTION
    return x
'''


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A module written like the library's, with every way to come by a name."""
    path = tmp_path_factory.mktemp("library") / "a_library.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("a_library", path)
    module = sys.modules["a_library"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["a_library"]


def run(cell: str, name: str):
    space: dict = {}
    exec(compile(cell, "cell", "exec", dont_inherit=True), space)
    return space[name]


@pytest.mark.parametrize("exercise", EVERY, ids=lambda exercise: exercise.name)
def test_the_solution_cell_runs_alone_and_passes(exercise):
    cell = solution(exercise.reference)
    assert "SOLUTION" not in cell
    answer = run(cell, exercise.name)
    assert answer is not exercise.reference
    assert check(exercise, answer).status == "passed"


@pytest.mark.parametrize("exercise", EVERY, ids=lambda exercise: exercise.name)
def test_the_stub_cell_runs_alone_and_has_the_signature_and_the_docstring(exercise):
    answer = run(stub(exercise.reference), exercise.name)
    assert answer.__doc__ == exercise.reference.__doc__
    names = [list(inspect.signature(f).parameters) for f in (answer, exercise.reference)]
    assert names[0] == names[1]
    if "### BEGIN SOLUTION" in inspect.getsource(exercise.reference):
        return  # Given lines want real arguments: test_checks.py runs these stubs on cases.
    with pytest.raises(NotImplementedError, match=f"^{exercise.name}: write your answer here$"):
        answer(*[None] * len(names[0]))


@pytest.mark.parametrize("exercise", EVERY, ids=lambda exercise: exercise.name)
def test_no_cell_needs_the_records_of_the_lessons(exercise):
    for cell in (solution(exercise.reference), stub(exercise.reference)):
        assert "course" not in "".join(
            node.module for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.ImportFrom)
        )


def test_every_name_is_imported_also_those_for_annotations_only(library):
    cell = solution(library.measured)
    assert run(cell, "measured")(None, None) == library.measured(None, None) == 12
    head = cell[: cell.index("def")].split("\n")
    assert head[:6] == [
        "import decimal as dec",
        "import math",
        "import numpy as np",
        "import torch",
        "import torch.nn.functional as F",
        "from pruneedu.data import Split",
    ]
    assert "Dataset" not in cell
    assert "from torch import nn" in head


def test_private_functions_belong_to_the_answer_and_checks_are_imported(library):
    assert [helper.__name__ for helper in helpers(library.measured)] == ["_helped", "_cached"]
    cell = solution(library.measured)
    assert "from a_library import LIMIT, _check, double" in cell
    assert "@cache\ndef _cached" in cell


def test_a_stub_imports_what_its_signature_needs_and_no_more(library):
    cell = stub(library.measured)
    with pytest.raises(NotImplementedError):
        run(cell, "measured")(None, None)
    assert "secret" not in cell
    assert "_helped" not in cell
    assert "numpy" not in cell
    assert '"""Measure.\n\n    A second paragraph.\n    """\n    raise' in cell


def test_without_a_docstring_the_whole_body_is_cut(library):
    head, hole = stub(library.undocumented).splitlines()
    assert head == "def undocumented(x):"
    assert hole == '    raise NotImplementedError("undocumented: write your answer here")'


def test_between_marks_only_what_is_between_is_cut(library):
    assert "secret" not in stub(library.marked)
    answer = run(stub(library.marked), "marked")
    assert answer(0) == 0
    with pytest.raises(NotImplementedError, match="marked: write"):
        answer(1)
    assert run(solution(library.marked), "marked")(3) == 3


def test_names_of_the_public_list_come_from_the_package():
    from pruneedu.pruning.criteria import magnitude

    assert "from pruneedu import Scores" in imports(magnitude, "Scores")
    assert "from pruneedu.tensors import prunable_layers" not in imports(magnitude, "Scores")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(a, b=C, *d, **e): return a, b, d, e", {"C"}),
        ("def f(x: A) -> B: y: D = x", {"A", "B", "D"}),
        ("def f():\n    global g\n    g += 1", {"g"}),
        ("def f():\n    global g\n    g = 1", {"g"}),
        ("@a.b\ndef f(): return lambda x: x + c", {"a", "c"}),
        ("f = lambda x=a: [y * b for y in x if c]", {"a", "b", "c"}),
        ("class A(B):\n    c = d\n    def e(self): return f(self, c)", {"B", "c", "d", "f"}),
        ("def f():\n    import a\n    return a, b", {"b"}),
        ("def f(n): return f(n - 1)", set()),
        (
            "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x += y\n    return g",
            {"y"},
        ),
        ("import a.b\na.b.c(d)", {"d"}),
        ("for i in range(n): total += i", {"range", "n"}),
        ("try:\n    a()\nexcept B as c:\n    c", {"a", "B"}),
    ],
)
def test_free_names_are_those_that_must_come_from_elsewhere(source, names):
    assert free_names(source) == names


@pytest.mark.parametrize(
    ("source", "bare"),
    [
        ('def f(x):\n    """D."""\n    return x\n', "def f(x):\n    return x"),
        ('def f(x):\n    """D."""', 'def f(x):\n    """D."""'),
        ("def f(x):\n    return x\n", "def f(x):\n    return x"),
        (
            '@a\ndef f(x):\n    """D.\n\n    E.\n    """\n    return x',
            "@a\ndef f(x):\n    return x",
        ),
    ],
)
def test_a_docstring_is_taken_out(source, bare):
    assert without_docstring(textwrap.dedent(source)) == bare
