"""From a notebook's text to marks: read it, run the answers in the sandbox, judge what they did."""

import ast
import threading

from pruneedu.course.exercises import Exercise, LessonRecord, lessons
from pruneedu.course.feedback import Feedback, feedback
from pruneedu.course.judging import Verdict, judge, key
from pruneedu.course.notebooks import answer, code_cells, is_copy, statements
from pruneedu.grading.results import Mark
from pruneedu.grading.sandbox import Job, Outcome, Sandbox

_LESSON_ONLY = "pruneedu.course.lessons"
# Judging sets PyTorch's random state, which threads share; a large notebook takes much memory.
_one_at_a_time = threading.Lock()


def mark_notebook(text: str, seed: int, sandbox: Sandbox) -> tuple[list[str], list[Mark]]:
    """Mark every exercise of the lessons that a notebook belongs to.

    Arguments: text, the notebook's JSON; seed, of the cases; sandbox, where answers run.
    Returns: notes for the learner, and the marks.
    Errors: NotANotebookError with a sentence for the learner.
    """
    with _one_at_a_time:
        body, broken = statements(code_cells(text))
    notes = [_sentence(note) for note in broken]
    found = find_lessons(body)
    if not found:
        notes.append(
            "No exercise of the course is defined in this notebook, so its lesson is not known: "
            "the functions must keep the names that they have in the lesson."
        )
    marks = [
        _mark(lesson, exercise, body, seed, sandbox)
        for lesson in found
        for exercise in lesson.exercises
    ]
    return notes, marks


def find_lessons(body: list[ast.stmt]) -> list[LessonRecord]:
    """Return the lessons that a notebook belongs to, by the exercises that it defines.

    These are the lesson with the most, and any other of which more than half are there: a helper
    that has the name of another lesson's exercise makes no second lesson.

    >>> [lesson.number for lesson in find_lessons(ast.parse("def keep_top(): pass").body)]
    ['02']
    """
    defined = {statement.name for statement in body if isinstance(statement, ast.FunctionDef)}
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
    lesson: LessonRecord, exercise: Exercise, body: list[ast.stmt], seed: int, sandbox: Sandbox
) -> Mark:
    """Mark one exercise. Whatever goes wrong costs this exercise only."""
    try:
        status, points, lines, copied = _grade(exercise, body, seed, sandbox)
    except Exception as error:
        status, points, copied = "not graded", 0, False
        reason = f"{type(error).__name__}: {error}"[:500]
        lines = (f"**{exercise.name}** could not be graded: {reason}. A person will look at it.",)
    return Mark(lesson.number, exercise.name, points, exercise.points, status, lines, copied)


def _grade(
    exercise: Exercise, body: list[ast.stmt], seed: int, sandbox: Sandbox
) -> tuple[str, int, tuple[str, ...], bool]:
    hint = f"Hint 1 of {len(exercise.hints)}: {exercise.hints[0]}"
    try:
        found = answer(body, exercise, _library_exercises())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = str(error) or type(error).__name__
        return "failed", 0, (f"**{exercise.name}** cannot be read: {why}.", hint), False
    if not found.source:
        status = "not attempted" if found.untouched else "missing"
        said = found.note or f"**{exercise.name}**: not attempted yet."
        return status, 0, (said, hint), False
    with _one_at_a_time:
        cases = key(exercise, seed).packed
    outcome = sandbox.run(Job(found.source, exercise.name, cases, _hidden(exercise)))
    if outcome.ended == "failed to start":
        raise RuntimeError(outcome.detail)
    with _one_at_a_time:
        verdict = judge(exercise, outcome.observations, seed)
    said = _say(verdict, outcome, len(cases), hint)
    copied = verdict.points > 0 and is_copy(found.source, exercise)
    note = (found.note,) if found.note else ()
    return said.status, verdict.points, (*said.lines, *note), copied


def _say(verdict: Verdict, outcome: Outcome, cases: int, hint: str) -> Feedback:
    """The notebook's feedback; where the answer ended before the last case, how it ended, too."""
    if verdict.status == "passed":
        return feedback(verdict)
    said = feedback(verdict, hint)
    if outcome.ended == "finished" or len(outcome.observations) >= cases:
        return said
    status = "timeout" if outcome.ended == "timeout" else "ended early"
    first, *rest = said.lines
    return Feedback(status, (first, _sentence(outcome.detail), *rest))


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:].removesuffix('.')}."


def _library_exercises() -> dict[str, Exercise]:
    """The exercises whose references are in the library; the sandbox has no others."""
    every = (exercise for lesson in lessons().values() for exercise in lesson.exercises)
    return {exercise.name: exercise for exercise in every if _hidden(exercise)}


def _hidden(exercise: Exercise) -> str:
    module = exercise.reference.__module__
    return "" if module.startswith(_LESSON_ONLY) else f"{module}.{exercise.name}"
