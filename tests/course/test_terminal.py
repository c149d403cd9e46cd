"""`pruneedu check`: the notebook's feedback for each exercise, whatever else the notebook holds."""

import json
from pathlib import Path

import pytest

from pruneedu import cli
from pruneedu.course import progress
from pruneedu.course.exercises import lessons
from pruneedu.course.stubs import solution, stub
from pruneedu.course.terminal import check_lesson

RECORD = lessons()["00"]
SPARSITY, ACCURACY = (exercise.reference for exercise in RECORD.exercises)
NAME = "00_start_here.ipynb"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A record of progress that is nobody's."""
    monkeypatch.setenv("PRUNEEDU_HOME", str(tmp_path / "home"))


@pytest.fixture
def check(tmp_path, capsys):
    """Check a notebook of these cells; return the status and what was printed."""

    def check_cells(*cells: str):
        sources = [{"cell_type": "code", "source": cell} for cell in cells]
        (tmp_path / NAME).write_text(json.dumps({"cells": sources}), encoding="utf-8")
        status = check_lesson("00", tmp_path)
        return status, capsys.readouterr().out.splitlines()

    return check_cells


def test_a_notebook_of_stubs_is_not_attempted(check, tmp_path):
    status, said = check(stub(SPARSITY), stub(ACCURACY))
    assert status == 1
    assert said == [
        f"Lesson 00, Start here: {tmp_path / NAME}",
        "○ sparsity: not attempted yet.",
        "○ accuracy: not attempted yet.",
    ]


def test_a_solved_notebook_passes(check):
    status, said = check(solution(SPARSITY), solution(ACCURACY))
    assert status == 0
    assert [line[:20] for line in said[1::2]] == ["✓ sparsity passes: 7", "✓ accuracy passes: 9"]


def test_a_mistake_is_named_and_the_rest_is_checked(check):
    wrong = "def sparsity(masks): return 9"
    status, said = check("!ls", "while True: pass", "def (", wrong, solution(ACCURACY))
    assert status == 1
    assert said[1] == "  code cell 3 is not valid Python (line 1)"
    assert said[2] == "✗ sparsity is right on 0 of 7 cases: 0 of 6 points."
    assert any(line.startswith("✓ accuracy passes") for line in said)


@pytest.mark.parametrize(
    ("below", "error"),
    [
        ("ONE = 1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys\nONE = sys.exit(3)", "SystemExit: 3"),
        ("ONE = undefined", "NameError: name 'undefined' is not defined"),
        ("from not_there import ONE", "ModuleNotFoundError: No module named 'not_there'"),
    ],
)
def test_what_an_answer_needs_may_fail(check, below, error):
    status, said = check(below, "def sparsity(masks, one=ONE): return one", solution(ACCURACY))
    assert status == 1
    assert said[1] == f"✗ sparsity: what it needs cannot run: {error}"
    assert said[2].startswith("✓ accuracy")


def test_where_an_answer_was_found_is_said(check):
    _, said = check("sparsity = max", solution(ACCURACY), solution(ACCURACY))
    assert said[1].startswith("○ There is no function named `sparsity` in the notebook. It is def")
    assert said[-1] == "  `accuracy` is defined 2 times; the last one counts."


def test_yours_is_there_in_a_terminal_too(check):
    uses = "def sparsity(masks): return 1 - yours.accuracy(*masks)"
    begin = "from pruneedu.course import Lesson\nlesson = Lesson('00')\nyours = lesson.yours"
    _, said = check(begin, uses, solution(ACCURACY))
    assert "TypeError" in said[2]


def test_an_error_names_the_line_of_the_answer(check):
    answer = "HALF = None\ndef sparsity(masks):  # mine\n    # a comment\n    return HALF + 1"
    _, said = check(answer, solution(ACCURACY))
    assert said[2].endswith("'NoneType' and 'int'. Your line: `return HALF + 1`")


def test_what_passes_is_remembered_in_the_learners_folder(check, tmp_path, monkeypatch):
    monkeypatch.delenv("PRUNEEDU_HOME", raising=False)
    check(solution(SPARSITY), "def accuracy(): return 1")
    assert Path.cwd() != tmp_path
    monkeypatch.chdir(tmp_path)
    assert progress.load("sparsity")["passed"]
    assert progress.load("accuracy") == progress.load("magnitude")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe", "the file is not text"),
        (b"{", "the file is not JSON"),
        (b"{}", "the file has no list of cells"),
    ],
)
def test_a_file_that_is_no_notebook_is_named(content, said, tmp_path, capsys):
    (tmp_path / NAME).write_bytes(content)
    assert cli.main(["check", "00", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"pruneedu: {tmp_path / NAME}: {said}")


def test_a_notebook_that_is_not_there_and_an_unknown_lesson_are_one_sentence(tmp_path, capsys):
    assert cli.main(["check", "00", str(tmp_path)]) == 2
    assert "`pruneedu start" in capsys.readouterr().err
    assert cli.main(["check", "99", str(tmp_path)]) == 2
    assert "there is no lesson '99'; there are 00," in capsys.readouterr().err


def test_a_lesson_may_be_named_without_its_zero(tmp_path, capsys):
    (tmp_path / NAME).write_bytes(b"{}")
    assert cli.main(["check", "0", str(tmp_path)]) == 2
    assert str(tmp_path / NAME) in capsys.readouterr().err
