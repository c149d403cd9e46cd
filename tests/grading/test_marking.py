"""Marking reads and judges what nobody vouches for: whatever comes, it comes to a mark."""

import json

import pytest
import torch
from a_class import InProcess, notebook
from hypothesis import given, settings
from hypothesis import strategies as st

from pruneedu.course.exercises import find, lessons
from pruneedu.course.judging import key
from pruneedu.course.notebooks import statements
from pruneedu.course.plain import ModelState, Tool, pack
from pruneedu.course.stubs import stub
from pruneedu.grading.marking import Notebook, Outcome, _mark, broken_answers, find_lessons
from pruneedu.grading.results import Options
from pruneedu.grading.running import _attempt

OPTIONS = Options("0.1.0", 3, "limits", 60, "class", "0" * 64)
EXERCISES = [exercise for lesson in lessons().values() for exercise in lesson.exercises]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["cells", "source", "cell_type", "metadata"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
pieces = st.sampled_from(
    [
        *("def keep_top(", "def magnitude(", "scores", "):", "\n", "    ", "return ", "lambda: "),
        *("!ls", "%time ", "%%bash\n", "?", "'''", '"', "\\", "\0", "\ud800", "é", "#", "@"),
        *(
            "import keep_top",
            "from x import *",
            "global keep_top",
            "nonlocal x",
            "x = ",
            "...",
            "*",
        ),
        *("class keep_top:", "async ", "yield ", "if x:", "try:", "(" * 99, "[" * 250, "-" * 2_000),
    ]
)


def status_of(content: bytes) -> str:
    class Nothing(InProcess):
        def run(self, job):
            return Outcome((), "exited", "it ended", 0.0)

    status, _, marks = _attempt(content, "", OPTIONS, Nothing())
    assert "not graded" not in {mark.status for mark in marks}
    return status


@given(json_values)
@settings(max_examples=60, deadline=None)
def test_any_json_comes_to_an_end(value):
    wrapped = {"cells": [{"cell_type": "code", "source": value}, value]}
    for content in (value, wrapped):
        assert status_of(json.dumps(content).encode()) in ("graded", "unreadable")


@given(st.binary(max_size=60))
def test_any_bytes_come_to_an_end(content):
    assert status_of(content) in ("graded", "unreadable")


@given(st.lists(st.lists(pieces, max_size=12).map("".join), max_size=4))
@settings(max_examples=100, deadline=None)
def test_any_code_comes_to_marks(cells):
    assert status_of(notebook(*cells, "def keep_top():\n    pass")) == "graded"


def odd_values() -> list:
    plain = [None, True, 0, -1, 10**299, 1.5, float("nan"), float("inf"), "", "\0<b>", [], [[]], {}]
    tensors = [
        *(torch.zeros(shape) for shape in ((), (0,), (3, 0), (4, 5))),
        *(torch.zeros(4, 5, dtype=kind) for kind in (torch.bool, torch.uint8, torch.bfloat16)),
        torch.full((4, 5), float("nan")),
    ]
    return [*plain, {0: 1}, *tensors, ModelState({}), Tool("magnitude", {})]


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_odd_results_come_to_a_mark_of_zero(exercise):
    cases = len(key(exercise, 3).packed)
    body, _ = statements([f"def {exercise.name}():\n    pass"])
    for odd in [*odd_values(), *({"fc1.weight": value} for value in odd_values())]:

        class Odd(InProcess):
            seen = (pack({"result": odd, "after": odd}),) * cases

            def run(self, job):
                return Outcome(self.seen, "finished", "", 0.0)

        mark = _mark(find(exercise.name)[0], exercise, Notebook(body, {}), 3, Odd())
        assert (mark.points, mark.status) == (0, "failed"), odd


def test_lessons_are_found_by_their_exercises():
    def found(*names: str) -> list[str]:
        return [lesson.number for lesson in find_lessons({*names})]

    assert found() == found("other") == []
    assert found("keep_top") == ["02"]
    assert found("sparsity") == ["00"]
    assert found("sparsity", "keep_top") == ["00", "02"]
    assert found("sparsity", "keep_top", "cubic") == ["02"]
    assert found("sparsity", "accuracy", "keep_top", "cubic", "magnitude") == ["00", "02"]


def test_untouched_lessons_are_found_too():
    for number, lesson in lessons().items():
        content = notebook(*(stub(exercise.reference) for exercise in lesson.exercises))
        marks = _attempt(content, "", OPTIONS, InProcess())[2]
        assert {(mark.lesson, mark.status) for mark in marks} == {(number, "not attempted")}


@given(st.lists(st.lists(pieces, max_size=12).map("".join), max_size=4))
@settings(max_examples=100, deadline=None)
def test_each_broken_cell_is_said_of_the_functions_in_it(codes):
    cells = [f"def mine():\n    {code}" for code in codes]
    _, left_out = statements(cells)
    found = broken_answers(cells, left_out)
    assert ("mine" in found) == bool(left_out)
    assert all(said.startswith("its cell is n") for said in found.values())
