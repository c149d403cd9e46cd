"""What a learner meets in a notebook: checks, hints, guesses, the quiz, and what is kept."""

import _thread
import json
import re
import signal
import threading
import time
import types

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from pruneedu.course import Lesson, progress
from pruneedu.course import lesson as module
from pruneedu.course.errors import CheckFailed, LessonError
from pruneedu.course.exercises import find, lessons
from pruneedu.course.stubs import solution, stub
from pruneedu.plotting import bars

SPARSITY = find("sparsity")[1]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A learner's folder without progress."""
    monkeypatch.setenv("PRUNEEDU_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def define(cell: str, name: str = "sparsity"):
    space: dict = {}
    exec(cell, space)
    return space[name]


def kept(masks):
    return sum(int(mask.sum()) for mask in masks.values()) / sum(m.numel() for m in masks.values())


kept.__name__ = "sparsity"


def replaced(function, number: int):
    """The same function with another constant in its code."""
    code = function.__code__
    changed = code.replace(co_consts=(*code.co_consts, number))
    return types.FunctionType(changed, function.__globals__, function.__name__)


def test_the_way_from_the_stub_to_the_solution(capsys):
    lesson = Lesson("00")
    lesson.check(define(stub(SPARSITY.reference)))
    said = capsys.readouterr().out
    assert said.startswith("○ sparsity: not attempted yet.\n  Until it passes, `yours.sparsity` is")
    assert lesson.yours.sparsity is SPARSITY.reference
    wrong = [replaced(kept, number) for number in range(4)]
    for number, answer in zip((1, 2, 3, 3), wrong, strict=True):
        with pytest.raises(CheckFailed, match=r"^sparsity: 0 of 7 cases are right$"):
            lesson.check(answer)
        said = capsys.readouterr().out
        assert said.startswith("✗ sparsity is right on 0 of 7 cases: 0 of 6 points.")
        assert "This is the fraction that stays." in said
        assert f"Hint {number} of 3: {SPARSITY.hints[number - 1]}" in said
        assert lesson.yours.sparsity is SPARSITY.reference
    answer = define(solution(SPARSITY.reference))
    lesson.check(answer)
    assert "sparsity passes: 7 of 7 cases, 6 of 6 points." in capsys.readouterr().out
    assert lesson.yours.sparsity is answer


def test_the_same_code_gets_the_same_hint_and_changed_code_the_next(capsys):
    def hint_for(function, lesson) -> str:
        with pytest.raises(CheckFailed):
            lesson.check(function)
        return capsys.readouterr().out.split("Hint ")[1][0]

    first = define("def sparsity(masks):\n    return 0.5")
    moved = define("\n# a comment\ndef sparsity(masks):\n\n    return (0.5)")
    other = define("def sparsity(masks):\n    return [0.25 for _ in masks]")
    inner = define("def sparsity(masks):\n    return [0.75 for _ in masks]")
    answers = (first, first, moved, other, inner, first)
    assert [hint_for(each, Lesson("00")) for each in answers] == list("111233")
    assert progress.load("sparsity")["failures"] == 6


def test_a_hint_that_was_asked_for_is_repeated_too(capsys):
    lesson = Lesson("00")
    for _ in range(2):
        with pytest.raises(CheckFailed):
            lesson.check(kept)
        lesson.hint("sparsity")
    assert [part[0] for part in capsys.readouterr().out.split("Hint ")[1:]] == list("1223")


@pytest.fixture
def interruptible():
    """Take interrupts as Python does by default, whatever ran before in this process."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_check_that_lasts_says_how_to_stop_it_and_stopped_it_has_failed(
    capsys, monkeypatch, interruptible
):
    def sparsity(masks):
        threading.Timer(0.5, _thread.interrupt_main).start()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            pass

    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with pytest.raises(CheckFailed, match=r"^sparsity: interrupted$"):
        Lesson("00").check(sparsity)
    waiting, stopped, hint = capsys.readouterr().out.splitlines()
    assert waiting == (
        "· Still running. If a loop does not end, press ■ above the notebook to interrupt it."
    )
    where = r"interrupted in the line `(while .*|pass)` before it had answered all cases"
    assert re.fullmatch(rf"✗ sparsity was {where}\.", stopped)
    assert hint.startswith("  Hint 1 of 3: ")
    assert progress.load("sparsity")["failures"] == 1


def test_a_check_that_is_quick_does_not_speak_of_waiting(capsys, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    Lesson("00").check(define(solution(SPARSITY.reference)))
    time.sleep(0.3)
    assert "Still running" not in capsys.readouterr().out


def test_a_later_mistake_takes_nothing_away():
    lesson, answer = Lesson("00"), define(solution(SPARSITY.reference))
    lesson.check(answer)
    with pytest.raises(CheckFailed):
        lesson.check(kept)
    assert lesson.yours.sparsity is answer
    assert progress.load("sparsity")["passed"]


def test_the_librarys_own_function_is_no_answer(capsys):
    lesson = Lesson("00")
    lesson.check(lesson.yours.sparsity)
    assert "this is the library's own" in capsys.readouterr().out
    assert not progress.load("sparsity")["passed"]


@pytest.mark.parametrize(
    "function",
    [lambda masks: 1, abs, 3, "sparsity()", None],
    ids=["lambda", "abs", "3", "text", "-"],
)
def test_what_is_no_exercise_of_the_lesson_is_told_what_is(function):
    with pytest.raises(ValueError, match="its functions are `sparsity`, `accuracy`"):
        Lesson("00").check(function)


def test_an_exercise_of_another_lesson_is_not_checked_here():
    with pytest.raises(ValueError, match="lesson 00 has no exercise 'keep_top'"):
        Lesson("00").hint("keep_top")


def test_a_lesson_that_is_not_there_is_told_which_are():
    with pytest.raises(ValueError, match="there is no lesson '99'; there are 00, "):
        Lesson("99")


def test_hints_come_in_turn_and_the_last_stays(capsys):
    lesson = Lesson("00")
    for number in (1, 2, 3, 3):
        lesson.hint("sparsity")
        expected = f"Hint {number} of 3: {SPARSITY.hints[number - 1]}"
        assert expected in capsys.readouterr().out


def test_the_source_waits_for_the_check_or_the_last_hint(capsys):
    lesson = Lesson("00")
    lesson.source("sparsity")
    assert "is shown once yours passes, or after the last hint" in capsys.readouterr().out
    for _ in range(3):
        lesson.hint("sparsity")
    capsys.readouterr()
    lesson.source("sparsity")
    said = capsys.readouterr().out
    assert said.startswith(
        "The library's sparsity\n\ndef sparsity(masks: Masks) -> float:\n    _check"
    )
    assert "Your sparsity" not in said


def test_after_the_check_the_source_stands_beside_the_learners(capsys, tmp_path):
    lesson = Lesson("00")

    def sparsity(masks):
        """Say it in my words."""
        dropped = torch.cat([~mask.flatten() for mask in masks.values()])
        return dropped.double().mean().item()

    lesson.check(sparsity)
    capsys.readouterr()
    lesson.source("sparsity")
    said = capsys.readouterr().out
    assert "Your sparsity\n\ndef sparsity(masks):\n    dropped = torch.cat(" in said
    lesson.check(define(solution(SPARSITY.reference)))
    lesson.source("sparsity")
    assert "# the source of this function is not known" in capsys.readouterr().out


def test_the_same_source_is_not_shown_twice(capsys, monkeypatch):
    lesson = Lesson("00")
    lesson.check(define(solution(SPARSITY.reference)))
    monkeypatch.setattr(module.inspect, "getsource", lambda function: "def sparsity():\n    pass\n")
    monkeypatch.setattr(module, "helpers", lambda function: [])
    capsys.readouterr()
    lesson.source("sparsity")
    assert "Your sparsity\n\n# the same, line for line" in capsys.readouterr().out


def test_a_guess_gates_what_is_shown(capsys):
    lesson = Lesson("00")
    lesson.reveal(..., "Measured: 7.", bars({"a": 1}, "n"))
    assert capsys.readouterr().out == (
        "· Write your guess in the cell above, run it, then run this one again.\n"
    )
    lesson.reveal(5, "Measured: 7.", "Twice.", bars({"a": 1}, "n"), [3])
    assert capsys.readouterr().out == (
        "· Your guess: 5\n  Measured: 7.\n  Twice.\nFigure: Bar chart of n. a: 1.\n[3]\n"
    )


@pytest.mark.parametrize("guess", [0, None, False, [1]])
def test_every_guess_is_a_guess(guess, capsys):
    Lesson("00").reveal(guess)
    assert capsys.readouterr().out == f"· Your guess: {guess}\n"


@pytest.mark.parametrize("number", lessons())
def test_each_choice_of_the_quiz_has_its_say(number, capsys):
    lesson = Lesson(number)
    for name, question in lesson.record.quiz.items():
        lesson.quiz(name)
        asked = capsys.readouterr().out
        assert asked.startswith(f"· {question.text}\n  a) {question.choices[0].text}\n  b) ")
        assert "Put a letter in place of `...`" in asked
        for letter, choice in zip("abcdef", question.choices, strict=False):
            lesson.quiz(name, answer=letter)
            said = capsys.readouterr().out
            assert said.startswith("✓" if choice.right else "✗")
            verdict = "Right" if choice.right else "Not this one"
            assert f"{letter}) {verdict}. " in said
            assert choice.reason.replace("`", "")[-20:] in said.replace("`", "")


def test_a_capital_letter_answers_as_well(capsys):
    Lesson("00").quiz("sets", " B ")
    capital = capsys.readouterr().out
    Lesson("00").quiz("sets", "b")
    assert capital == capsys.readouterr().out
    assert "b) Right" in capital


@pytest.mark.parametrize("answer", ["z", "", 1, None, ["a"]])
def test_an_answer_that_is_no_choice_is_told_so(answer):
    with pytest.raises(LessonError, match='is none of "a", "b", "c"'):
        Lesson("00").quiz("sets", answer)


def test_an_unknown_question_is_told_which_there_are():
    with pytest.raises(ValueError, match="lesson 00 has no question 'size'; it has sparsity, "):
        Lesson("00").quiz("size")


def test_quick_mode_takes_an_eighth_and_at_least_one(monkeypatch):
    lesson = Lesson("00")
    monkeypatch.delenv("PRUNEEDU_QUICK", raising=False)
    assert lesson.budget(epochs=30, seeds=3) == (30, 3)
    monkeypatch.setenv("PRUNEEDU_QUICK", "1")
    assert lesson.budget(epochs=30, seeds=3) == (4, 1)


def test_progress_survives_a_restart_and_is_shown(capsys, home):
    lesson = Lesson("00")
    with pytest.raises(CheckFailed):
        lesson.check(kept)
    lesson.check(define(solution(SPARSITY.reference)))
    capsys.readouterr()
    Lesson("02").progress()
    shown = capsys.readouterr().out.splitlines()
    assert shown[:3] == [
        "00 Start here: 1 of 2",
        "   sparsity: passed, hints used: 1",
        "   accuracy: open",
    ]
    ((name, record),) = json.loads((home / "progress.json").read_text()).items()
    assert re.fullmatch("[0-9a-f]{16}", record.pop("code"))
    assert (name, record) == ("sparsity", {"passed": True, "failures": 1, "hints": 1})
    assert [path.name for path in home.iterdir()] == ["progress.json"]


def test_progress_is_kept_beside_the_notebooks_by_default(monkeypatch, tmp_path):
    monkeypatch.delenv("PRUNEEDU_HOME")
    monkeypatch.chdir(tmp_path)
    Lesson("00").hint("sparsity")
    assert (tmp_path / ".pruneedu" / "progress.json").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"sparsity": 3}', '{"sparsity": ["a"]}'])
def test_a_damaged_record_is_named_and_left_alone(text, home):
    home.mkdir()
    path = home / "progress.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"progress\.json does not hold what was saved; repair it"):
        Lesson("00").hint("sparsity")
    assert path.read_text() == text


def test_an_answer_passes_even_where_nothing_can_be_saved(home, capsys):
    home.write_text("a file in the way")
    lesson, answer = Lesson("00"), define(solution(SPARSITY.reference))
    with pytest.raises(OSError, match="home"):
        lesson.check(answer)
    assert lesson.yours.sparsity is answer
    assert "sparsity passes" in capsys.readouterr().out


def test_in_a_kernel_feedback_is_rich_and_a_failure_is_short():
    cells = [
        "from pruneedu.course import Lesson\nlesson = Lesson('00')",
        "def sparsity(masks):\n    return 0.5",
        "lesson.check(sparsity)",
        "lesson.check(lesson.yours.sparsity)",
        'lesson.quiz("sets", answer="z")',
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, allow_errors=True, timeout=60).execute()
    (shown, failure), (own,), (quiz,) = (cell.outputs for cell in notebook.cells[2:])
    assert shown.data["text/html"].startswith("<div role='status'")
    assert shown.data["text/plain"].startswith("✗ sparsity is right on 0 of 7 cases")
    assert "Hint 1 of 3" in shown.data["text/plain"]
    assert failure.traceback == ["CheckFailed: sparsity: 0 of 7 cases are right"]
    assert "this is the library's own" in own.data["text/plain"]
    assert quiz.traceback == ['LessonError: the answer \'z\' is none of "a", "b", "c"']


def test_a_lesson_computes_with_one_thread():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        Lesson("00")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_the_marks_of_a_stub_are_no_part_of_the_source():
    exercise = next(e for e in Lesson("05").record.exercises if e.name == "own_criterion")
    shown = module._source(exercise.reference)
    assert "return scores" in shown
    assert "SOLUTION" not in shown
