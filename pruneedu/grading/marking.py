"""From a notebook's text to marks: read it, run the answers in the sandbox, judge what they did."""

import ast
import inspect
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pruneedu.course.closing import hidden, in_library
from pruneedu.course.exercises import Exercise, LessonRecord, lessons
from pruneedu.course.feedback import Feedback, feedback
from pruneedu.course.judging import Verdict, judge, key
from pruneedu.course.notebooks import answer, code_cells, is_copy, statements
from pruneedu.grading.jobs import Job, Outcome
from pruneedu.grading.results import Mark
from pruneedu.grading.sandbox import Sandbox

_DEFINITION = re.compile(r"(?m)^[ \t]*(?:async[ \t]+)?def[ \t]+(\w+)")
_BROKEN = re.compile(r"code cell (\d+) (.+?)(?: \(line (\d+)\))?")
_TELLING = 5  # statements
# Judging sets PyTorch's random state, which threads share; a large notebook takes much memory.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Notebook:
    """What was read of a notebook.

    body: its top-level statements; broken: for functions in cells that are left out, why they are.
    """

    body: list[ast.stmt]
    broken: Mapping[str, str]


def mark_notebook(text: str, seed: int, sandbox: Sandbox) -> tuple[list[str], list[Mark]]:
    """Mark every exercise of the lessons that a notebook belongs to.

    Arguments: text, the notebook's JSON; seed, of the cases; sandbox, where answers run.
    Returns: notes for the learner, and the marks.
    Errors: NotANotebookError with a sentence for the learner.
    """
    with _one_at_a_time:
        cells = code_cells(text)
        body, left_out = statements(cells)
    notes = [_sentence(note) for note in left_out]
    notebook = Notebook(body, broken_answers(cells, left_out))
    defined = {statement.name for statement in body if isinstance(statement, ast.FunctionDef)}
    found = find_lessons({*defined, *notebook.broken})
    if not found:
        notes.append(
            "No exercise of the course is defined in this notebook, so its lesson is not known: "
            "the functions must keep the names that they have in the lesson."
        )
    marks = [
        _mark(lesson, exercise, notebook, seed, sandbox)
        for lesson in found
        for exercise in lesson.exercises
    ]
    return notes, marks


def broken_answers(cells: list[str], left_out: Iterable[str]) -> dict[str, str]:
    """Say of each function that stands in a cell which was left out what is wrong with the cell.

    Args:
        cells: the sources of the code cells.
        left_out: the notes on cells that were left out, as `statements` gives them.

    >>> broken_answers(["x = 1", "def f(x)\\n    return x"], ["code cell 2 is no Python (line 1)"])
    {'f': 'its cell is no Python: line 1: `def f(x)`'}
    """
    found = {}
    for note in left_out:
        number, wrong, line = _BROKEN.fullmatch(note).groups()
        source = cells[int(number) - 1]
        lines = dict(enumerate(source.split("\n"), 1))
        text = lines.get(int(line or 0), "").strip()[:80]
        where = f": line {line}: `{text}`" if text else ""
        found |= dict.fromkeys(_DEFINITION.findall(source), f"its cell {wrong}{where}")
    return found


def find_lessons(defined: set[str]) -> list[LessonRecord]:
    """Return the lessons that a notebook belongs to, by the names of the functions in it.

    These are the lesson with the most, and any other of which more than half are there: a helper
    that has the name of another lesson's exercise makes no second lesson.

    >>> [lesson.number for lesson in find_lessons({"keep_top"})]
    ['02']
    """
    counts = {
        number: sum(exercise.name in defined for exercise in lesson.exercises)
        for number, lesson in lessons().items()
    }
    most = max(counts.values(), default=0)
    return [
        lesson
        for number, lesson in lessons().items()
        if counts[number] and (counts[number] == most or 2 * counts[number] > len(lesson.exercises))
    ]


def _mark(
    lesson: LessonRecord, exercise: Exercise, notebook: Notebook, seed: int, sandbox: Sandbox
) -> Mark:
    """Mark one exercise. Whatever goes wrong costs this exercise only."""
    try:
        status, points, lines, copied = _grade(exercise, notebook, seed, sandbox)
    except Exception as error:
        status, points, copied = "not graded", 0, False
        reason = f"{type(error).__name__}: {error}"[:500]
        lines = (f"**{exercise.name}** could not be graded: {reason}. A person will look at it.",)
    return Mark(lesson.number, exercise.name, points, exercise.points, status, lines, copied)


def _grade(
    exercise: Exercise, notebook: Notebook, seed: int, sandbox: Sandbox
) -> tuple[str, int, tuple[str, ...], bool]:
    hint = f"Hint 1 of {len(exercise.hints)}: {exercise.hints[0]}"
    try:
        found = answer(notebook.body, exercise, _library_exercises())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = str(error) or type(error).__name__
        return "failed", 0, (f"**{exercise.name}** cannot be read: {why}.", hint), False
    broken = notebook.broken.get(exercise.name, "")
    if broken and not found.source:
        return "failed", 0, (f"**{exercise.name}**: {broken}.", hint), False
    if not found.source:
        status = "not attempted" if found.untouched else "missing"
        said = found.note or f"**{exercise.name}**: not attempted yet."
        return status, 0, (said, hint), False
    copied = is_copy(found.source, exercise)
    with _one_at_a_time:
        cases = key(exercise, seed).packed
    # What the references and the mistakes have imported here, answers will import there.
    needs_dynamo = "torch._dynamo" in sys.modules
    job = Job(found.source, exercise.name, cases, hidden(exercise, copied), needs_dynamo)
    outcome = sandbox.run(job)
    if outcome.ended == "failed to start":
        raise RuntimeError(outcome.detail)
    with _one_at_a_time:
        verdict = judge(exercise, outcome.observations, seed)
    said = _say(verdict, outcome, len(cases), hint)
    listed = copied and verdict.points > 0 and _is_telling(exercise)
    other = f"Another `{exercise.name}` does not count: {broken}." if broken else ""
    return said.status, verdict.points, (*said.lines, *filter(None, (found.note, other))), listed


def _is_telling(exercise: Exercise) -> bool:
    """Whether an answer identical to the library's source is worth a look: it has 5 statements.

    They are counted after the docstring, nested ones too. Below that a formula leaves no choice:
    two people who write down the same one write the same lines. Where the exercise closes other
    functions, they do not write those.
    """
    if exercise.closes:
        return True
    function = ast.parse(inspect.getsource(exercise.reference)).body[0]
    statements = sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1
    return statements - (ast.get_docstring(function) is not None) >= _TELLING


def _say(verdict: Verdict, outcome: Outcome, cases: int, hint: str) -> Feedback:
    """The notebook's feedback; where the answer ended before the last case, how it ended, too."""
    if verdict.status == "passed":
        return feedback(verdict)
    answered = len(outcome.observations)
    if outcome.ended == "finished" or answered >= cases:
        return feedback(verdict, hint)
    status = "timeout" if outcome.ended == "timeout" else "ended early"
    ending = _sentence(f"{outcome.detail}, with {answered} of {cases} cases answered")
    if verdict.right < answered:  # else the first thing that is wrong is that it ended
        ending = f"{verdict.problem} {ending}"
    return replace(feedback(replace(verdict, problem=ending), hint), status=status)


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:].removesuffix('.')}."


def _library_exercises() -> dict[str, Exercise]:
    """The exercises whose references are in the library; the sandbox has no others."""
    every = (exercise for lesson in lessons().values() for exercise in lesson.exercises)
    return {exercise.name: exercise for exercise in every if in_library(exercise)}
