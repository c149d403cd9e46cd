"""What closes while an answer is checked, and that it opens again."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest
import torch
from answer_cells import ONE_CALLS as ANSWERS

import pruneedu
from pruneedu import regularization
from pruneedu.course import closing
from pruneedu.course.exercises import find, lessons
from pruneedu.course.judging import check
from pruneedu.pruning import schedules, selection

EXERCISES = [exercise for lesson in lessons().values() for exercise in lesson.exercises]


@pytest.mark.parametrize(
    "function",
    [selection.keep_top, schedules.cubic, regularization.proximal_l1_],
    ids=lambda function: function.__name__,
)
def test_closed_source_keeps_signature_docstring_and_every_other_line(function):
    inner = inspect.unwrap(function)
    source = Path(inner.__code__.co_filename).read_text()
    closed = closing.closed_source(source, inner.__name__)
    before, after = source.splitlines(), closed.splitlines()
    lines, first = inspect.getsourcelines(inner)
    last = first + len(lines) - 1
    assert len(before) == len(after)
    assert before[: first - 1] == after[: first - 1]
    assert before[last:] == after[last:]
    old, new = (
        next(n for n in ast.parse(text).body if getattr(n, "name", "") == inner.__name__)
        for text in (source, closed)
    )
    assert ast.dump(old.args) == ast.dump(new.args)
    assert ast.get_docstring(old) == ast.get_docstring(new)
    assert len(new.body) == 2


def test_a_closed_reference_raises_under_each_of_its_names_and_reads_closed():
    names = [selection.keep_top, pruneedu.keep_top, pruneedu.pruning.keep_top]
    closed = closing.closed_version(("pruneedu.pruning.selection.keep_top",))
    originals = [(function, function.__code__) for function, _ in closed.codes]
    try:
        texts = closing.close(closed)
        for alias in names:
            with pytest.raises(RuntimeError, match="keep_top: the library's own version is closed"):
                alias({"a": torch.ones(3)}, 0.5)
        assert list(texts) == [selection.__file__]
        assert "keep_top: the library's own version is closed" in texts[selection.__file__]
    finally:
        for function, code in originals:
            function.__code__ = code
    assert pruneedu.keep_top({"a": torch.ones(4)}, 0.5)["a"].tolist() == [True, True, False, False]


LIBRARY = """
import functools
def half(x):
    'Halve it.'
    _check(x)
    return _divide(x, 2)
def _divide(x, by):
    return x / by
def _check(x):
    return x
def double(x):
    return 2 * x
def quarter(x):
    return half(half(x))
@functools.wraps(double)
def wrapped(x):
    return double(x)
"""


def test_a_references_helpers_close_with_it_and_nothing_else_does(tmp_path, monkeypatch):
    (tmp_path / "small_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    library = importlib.import_module("small_library")
    closing.close(closing.closed_version(("small_library.half",)))
    with pytest.raises(RuntimeError, match=r"^half: the library's own version is closed"):
        library.quarter(3)
    with pytest.raises(RuntimeError, match=r"^_divide: the library's own version is closed"):
        library._divide(3, 2)
    assert (library._check(3), library.double(3), library.wrapped(3)) == (3, 6, 6)
    assert library.half.__doc__ == "Halve it."


@pytest.mark.parametrize("path", ["pruneedu.pruning.selection.nothing", "pruneedu.tensors.Masks"])
def test_what_is_no_function_of_the_library_cannot_be_closed(path):
    with pytest.raises(ValueError, match=f"no function {path} to close"):
        closing.closed_version((path,))


def test_what_was_closed_is_open_again_whatever_happened():
    scores, path = {"a": torch.arange(4.0)}, "pruneedu.pruning.selection.keep_top"
    before = selection.keep_top(scores, 0.5)["a"]
    with pytest.raises(RuntimeError, match="version is closed"), closing.without((path,)):
        selection.keep_top(scores, 0.5)
    assert torch.equal(selection.keep_top(scores, 0.5)["a"], before)


@pytest.mark.parametrize(("name", "source"), ANSWERS, ids=[name for name, _ in ANSWERS])
def test_the_notebook_refuses_the_helper_that_the_grader_refuses(name, source):
    exercise, space = find(name)[1], {}
    exec(source, space)
    assert "version is closed" not in check(exercise, space[name]).problem
    closed = check(exercise, space[name], closed=closing.hidden(exercise, copied=False))
    assert closed.points == 0
    assert "version is closed while your answer is checked" in closed.problem


@pytest.mark.parametrize(
    "answer",
    [pytest.param((e, a), id=f"{e.name}-{a.__name__}") for e in EXERCISES for a in e.alternatives],
)
def test_a_right_answer_of_ones_own_needs_nothing_that_is_closed(answer):
    exercise, function = answer
    assert check(exercise, function, closed=closing.hidden(exercise, False)).status == "passed"
