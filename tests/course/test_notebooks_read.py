"""Answers are found with what they depend on, whatever else the notebook holds."""

import json
import time

import pytest

from pruneedu.course.exercises import lessons
from pruneedu.course.notebooks import (
    MAX_CELL,
    MAX_CELLS,
    MAX_SOURCE,
    NotANotebookError,
    answer,
    code_cells,
    is_copy,
    statements,
)
from pruneedu.course.stubs import solution, stub

EVERY = {e.name: e for lesson in lessons().values() for e in lesson.exercises}
SPARSITY, ACCURACY = EVERY["sparsity"], EVERY["accuracy"]
STUB = stub(SPARSITY.reference)


def read(*cells: str):
    """The answer to `sparsity` in a notebook of these cells."""
    body, _ = statements(list(cells))
    return answer(body, SPARSITY, EVERY)


def run(found):
    """Run an answer in an empty namespace, as the grader does, and call it."""
    space: dict = {"__name__": "__main__"}
    exec(compile(found.source, "answer", "exec", dont_inherit=True), space)
    return space["sparsity"]


NEEDS = {
    "nothing": ["def sparsity(m): return m + 1"],
    "a constant": ["ONE = 1", "def sparsity(m): return m + ONE"],
    "a constant in two steps": ["ONE = 0", "ONE = ONE + 1", "def sparsity(m): return m + ONE"],
    "a constant defined below": ["def sparsity(m): return m + ONE", "ONE = 1"],
    "an unpacked constant": ["(_, ONE), *_ = (0, 1), 2", "def sparsity(m): return m + ONE"],
    "a constant of a loop": [
        "ONE = 0\nfor i in range(3):\n    if i == 1: ONE = i",
        "def sparsity(m): return m + ONE",
    ],
    "a table filled by a loop": [
        "table = {}",
        "for i in range(9):\n    table[i] = i + 1",
        "def sparsity(m): return table[m]",
    ],
    "a list that grows": [
        "table = []",
        "for i in range(9):\n    table.append(i + 1)",
        "def sparsity(m): return table[m]",
    ],
    "a list that grows by a call": ["t = [1]", "t.append(2)", "def sparsity(m): return t[m]"],
    "a default": ["ONE = 1", "def sparsity(m, one=ONE): return m + one"],
    "an annotation": ["Number = int", "def sparsity(m: Number) -> Number: return m + 1"],
    "a helper": ["def plus(m): return m + 1", "def sparsity(m): return plus(m)"],
    "a helper defined after it": ["def sparsity(m): return plus(m)", "def plus(m): return m + 1"],
    "helpers of helpers": [
        "import math as m1",
        "def ceil(x): return m1.ceil(x)",
        "def plus(m): return ceil(m + 0.5)",
        "def sparsity(m): return plus(m)",
    ],
    "the last of two helpers": [
        "def plus(m): return m - 1",
        "def plus(m): return m + 1",
        "def sparsity(m): return plus(m)",
    ],
    "a helper that is wrapped": [
        "from functools import partial",
        "def plus(m, by): return m + by",
        "plus = partial(plus, by=1)",
        "def sparsity(m): return plus(m)",
    ],
    "a helper that is a lambda": ["plus = lambda m: m + 1", "def sparsity(m): return plus(m)"],
    "a helper that calls it": [
        "def next_of(m): return sparsity(m - 1) + 1",
        "def sparsity(m): return next_of(m) if m else 1",
    ],
    "itself": ["def sparsity(m): return sparsity(m - 1) + 1 if m else 1"],
    "a decorator": ["import functools", "@functools.cache\ndef sparsity(m): return m + 1"],
    "its own decorator": [
        "def plus(f): return lambda m: f(m) + 1",
        "@plus\ndef sparsity(m): return m",
    ],
    "a class": [
        "class Adder:\n    ONE = 1\n    def plus(self, m): return m + self.ONE",
        "def sparsity(m): return Adder().plus(m)",
    ],
    "a class with a base": [
        "import abc\nclass Base(abc.ABC):\n    one = 1",
        "class Adder(Base): pass",
        "def sparsity(m): return m + Adder.one",
    ],
    "a counter": [
        "calls = 0",
        "def sparsity(m):\n    global calls\n    calls += 1\n    return m + calls",
    ],
    "an import": ["import math", "def sparsity(m): return m + math.ceil(0.5)"],
    "an import of a part": ["import os.path", "def sparsity(m): return m + len(os.path.sep)"],
    "an alias": ["from math import ceil as c", "def sparsity(m): return m + c(0.5)"],
    "a star": ["from math import *", "def sparsity(m): return m + ceil(0.5)"],
    "an import that may fail": [
        "try:\n    import missing_thing as m1\nexcept ImportError:\n    import math as m1",
        "def sparsity(m): return m + m1.ceil(0.5)",
    ],
    "a choice": [
        "if len('a') == 1:\n    def plus(m): return m + 1\nelse:\n    plus = None",
        "def sparsity(m): return plus(m)",
    ],
    "annotations that are not evaluated": [
        "from __future__ import annotations",
        "def sparsity(m: Unknown) -> Unknown: return m + 1",
    ],
    "a comprehension": ["ONE = 1", "def sparsity(m): return [x + ONE for x in [m]][0]"],
    "a walrus": ["(ONE := 1)", "def sparsity(m): return m + ONE"],
    "a file that is closed again": [
        "import io\nwith io.StringIO('1') as f:\n    ONE = int(f.read())",
        "def sparsity(m): return m + ONE",
    ],
    "what is read in the loop of its own cell": [
        "import math\nONE = math.ceil(0.5)\ndef sparsity(m): return m + ONE\nprint(sparsity(1))"
    ],
}


@pytest.mark.parametrize("cells", NEEDS.values(), ids=NEEDS)
def test_an_answer_runs_with_what_it_needs(cells):
    found = read(*cells)
    assert found.note == ""
    assert run(found)(1) == 2


ELSEWHERE = {
    "an endless loop": "while True: pass",
    "an exit": "import sys\nsys.exit(1)",
    "an error": "1 / 0",
    "a cell that does not parse": "def broken(:\n  x",
    "an endless loop that changes other names": "n = 0\nwhile True:\n    n += 1",
    "a helper that nobody needs": "def plus(m): return sparsity(m)\nplus(3)",
    "a print": "print('hello')",
    "a check": "lesson.check(sparsity)",
}


@pytest.mark.parametrize("cell", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("first", [True, False])
def test_what_stands_elsewhere_is_left_out(cell, first):
    mine = "ONE = 1\ndef sparsity(m): return m + ONE"
    found = read(*((cell, mine) if first else (mine, cell)))
    assert found.source == "ONE = 1\ndef sparsity(m):\n    return m + ONE"


def test_of_two_imports_only_the_one_that_is_needed_is_kept():
    found = read("import math\nimport not_there", "def sparsity(m): return m + math.ceil(0.5)")
    assert "not_there" not in found.source


COMMANDS = {
    "a command": "!pip install torch\nONE = 1",
    "a magic": "%matplotlib inline\nONE = 1",
    "a magic with an argument": "  %cd ..\nONE = 1",
    "a command that gives a value": "files = !ls\nONE = 1",
    "a timed statement": "%time x = 2\nONE = 1",
    "a timed cell": "%%time\nONE = 1",
    "a captured cell": "%%capture out\nONE = 1",
    "a question": "len?\nprint??\n?len\nONE = 1",
    "a command in a block": "if True:\n    !ls\n    ONE = 1",
    "an indented cell": "\n    ONE = 1\n    TWO = 2",
    "an awaited call": "import asyncio\nawait asyncio.sleep(0)\nONE = 1",
    "a percent sign": "ONE = 7 % 2\nTWO = '!ls'",
}


@pytest.mark.parametrize("cell", COMMANDS.values(), ids=COMMANDS)
def test_a_cell_with_commands_still_counts(cell):
    body, notes = statements([cell, "def sparsity(m): return m + ONE"])
    assert notes == []
    assert run(answer(body, SPARSITY, EVERY))(1) == 2


@pytest.mark.parametrize("magic", ["bash", "html", "javascript", "writefile a.py", "!"])
def test_a_cell_of_another_language_is_neither_read_nor_noted(magic):
    cell = f"%%{magic}\ndef sparsity(m): return 1"
    assert statements([cell]) == ([], [])


@pytest.mark.parametrize(
    ("cell", "note"),
    [
        ("def f(:\n  x", "code cell 2 is not valid Python (line 1)"),
        ("x = 1\n  y = 2", "code cell 2 is not valid Python (line 2)"),
        ("return 3", "code cell 2 is not valid Python (line 1)"),
        ("def sparsity(m, m): return 1", "code cell 2 is not valid Python (line 1)"),
        ("from __future__ import braces", "code cell 2 is not valid Python (line 1)"),
        ("x = '\0'", "code cell 2 is not valid Python"),
        ("x = '\ud800'", "code cell 2 is not valid Python"),
        ("x = " + "(" * 300, "code cell 2 is not valid Python (line 1)"),
        ("x = " + "-" * 2000 + "1", "code cell 2 is nested too deeply to be read"),
        ("x = " + "-" * 40_000 + "1", "code cell 2 is nested too deeply to be read"),
        ("x = 1" + " + 1" * 900, "code cell 2 is nested too deeply to be read"),
        ("x = a" + ".b" * 20_000, "code cell 2 is nested too deeply to be read"),
        ("#" * (MAX_CELL + 1), "code cell 2 is longer than 50,000 characters"),
    ],
    ids=range(13),
)
def test_a_cell_that_cannot_be_read_costs_itself_only(cell, note):
    body, notes = statements(["ONE = 1", cell, "def sparsity(m): return m + ONE"])
    assert len(notes) == 1
    assert notes[0].startswith(note)
    assert run(answer(body, SPARSITY, EVERY))(1) == 2


def test_a_warning_of_the_learners_code_is_the_learners_own():
    assert statements(["x = '\\d'\nif x is 'a': pass"])[1] == []


@pytest.mark.parametrize(
    "cell",
    ["x = 1\n" * 8000, "!ls\n" * 12_000, "%a\n" * 16_000, "a?" * 25_000, "x = [" + "[]," * 16_000],
    ids=["lines", "commands", "magics", "questions", "lists"],
)
def test_a_long_cell_is_read_at_once(cell):
    started = time.process_time()  # other tests may share the processor
    statements([cell])
    assert time.process_time() - started < 3


def test_the_untouched_stub_is_not_an_answer():
    found = read(STUB)
    assert (found.source, found.note, found.untouched) == ("", "", True)
    bare = STUB.replace(STUB[STUB.index('"""') : STUB.rindex('"""') + 3], "")
    assert read(bare).untouched
    assert not read(STUB.replace("raise NotImplementedError", "return")).untouched


def test_the_last_definition_that_is_not_the_stub_counts():
    first, second = ("def sparsity(m): return m", "def sparsity(m): return m + 1")
    found = read(STUB, first, second, STUB)
    assert run(found)(1) == 2
    assert found.note == "`sparsity` is defined 2 times; the last one counts."
    below = read(STUB, second, STUB)
    assert run(below)(1) == 2
    assert below.note == "Below your `sparsity` its empty cell stands again; yours counts."
    assert read(STUB, second).note == ""


def test_an_open_exercise_that_is_needed_is_the_librarys():
    mine = "def sparsity(m): return accuracy(m[0], m[1])"
    found = read(stub(ACCURACY.reference), mine, stub(ACCURACY.reference))
    assert run(found)(ACCURACY.cases(0)[0].args) == ACCURACY.reference(*ACCURACY.cases(0)[0].args)
    for cells in ((stub(ACCURACY.reference), "def accuracy(a, b): return 3", mine),):
        assert run(read(*cells))([0, 0]) == 3
        assert run(read(*cells, stub(ACCURACY.reference)))([0, 0]) == 3


@pytest.mark.parametrize(
    "cells",
    [
        ['lesson = Lesson("00")\nyours = lesson.yours', "yours.accuracy"],
        ['lesson = course.Lesson("00")', "lesson.yours.accuracy"],
        [
            "from pruneedu.course import Lesson",
            'l = Lesson("00")',
            "mine = l.yours",
            "mine.accuracy",
        ],
    ],
)
def test_yours_is_the_library_without_the_lessons(cells):
    """The sandbox has no lessons, and an answer may use what the notebook gives to everybody."""
    *before, call = cells
    found = read(*before, f"def sparsity(m): return {call}(*m)")
    assert "Lesson" not in found.source
    assert "magnitude" not in found.source
    case = ACCURACY.cases(0)[0].args
    assert run(found)(case) == ACCURACY.reference(*case)


@pytest.mark.parametrize(
    ("cell", "note"),
    [
        ("x = 1", "There is no function named `sparsity` in the notebook."),
        ("from pruneedu import sparsity", "There is no function named `sparsity` in the notebook."),
        ("sparsity = lambda m: 1", "It is defined as a value: begin a line of its own with `def "),
        ("sparsity: object = len", "It is defined as a value"),
        ("async def sparsity(m): return 1", "It is defined with `async`"),
        ("class sparsity: pass", "It is defined as a class"),
        ("if True:\n    def sparsity(m): return 1", "It is defined inside another statement"),
        ("try:\n    def sparsity(m): return 1\nfinally: pass", "inside another statement"),
        ("def sparcity(m): return 1", "There is `sparcity`: is it the one?"),
        ("class A:\n    def sparsity(self): return 1", "no function named `sparsity`"),
        ("def outer():\n    def sparsity(m): return 1", "no function named `sparsity`"),
    ],
)
def test_an_answer_that_is_missing_is_told_what_stands_there(cell, note):
    found = read(cell)
    assert found.source == ""
    assert not found.untouched
    assert note in found.note


@pytest.mark.parametrize("exercise", EVERY.values(), ids=EVERY)
def test_the_solution_is_found_in_a_notebook_of_all_stubs_and_known_as_a_copy(exercise):
    cells = [stub(other.reference) for other in EVERY.values()]
    body, notes = statements([*cells, solution(exercise.reference)])
    found = answer(body, exercise, EVERY)
    assert notes == []
    assert is_copy(found.source, exercise)
    for other in EVERY.values():
        assert answer(body, other, EVERY).untouched is (other is not exercise)


def test_another_answer_is_no_copy():
    assert not is_copy("def sparsity(masks): return 0.5", SPARSITY)


def notebook(*cells) -> str:
    return json.dumps({"cells": list(cells), "nbformat": 4})


def test_only_code_cells_are_read_in_their_order():
    text = notebook(
        {"cell_type": "markdown", "source": "# a"},
        {"cell_type": "code", "source": "a = 1"},
        {"cell_type": "code", "source": ["b = 2\n", "c = 3"]},
        {"cell_type": "raw", "source": "d"},
    )
    assert code_cells(text) == ["a = 1", "b = 2\nc = 3"]


@pytest.mark.parametrize(
    "cell",
    [
        *(3, None, [], {}),
        {"cell_type": "code"},
        {"cell_type": "code", "source": 3},
        {"cell_type": "code", "source": [3, None, {}]},
        {"cell_type": ["code"], "source": "a"},
    ],
)
def test_a_malformed_cell_is_empty(cell):
    assert "".join(code_cells(notebook(cell))) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("def f(): pass", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("9" * 10_000, "not JSON"),
        ("[]", "no list of cells"),
        ("3", "no list of cells"),
        ("{}", "no list of cells"),
        ('{"cells": {}}', "no list of cells"),
        ('{"worksheets": []}', "format 4"),
        (notebook(*[{"cell_type": "code", "source": "#" * 40_000}] * 13), "longer than 500,000"),
    ],
    ids=range(11),
)
def test_what_is_no_notebook_is_told_why(text, reason):
    with pytest.raises(NotANotebookError, match=reason):
        code_cells(text)


def test_only_so_many_cells_are_read():
    many = notebook(*[{"cell_type": "code", "source": "a"}] * (MAX_CELLS + 5))
    assert len(code_cells(many)) == MAX_CELLS
    assert MAX_CELL < MAX_SOURCE
