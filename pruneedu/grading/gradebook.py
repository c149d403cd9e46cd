"""From the records of all submissions to a table with a row for each learner and exercise."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass

from pruneedu.course.exercises import lessons
from pruneedu.grading.results import STATUSES, Graded, Mark

_HEADER = ("learner", "lesson", "exercise", "points", "max_points", "status")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_RANK = {status: -rank for rank, status in enumerate(STATUSES)}


@dataclass(frozen=True)
class Row:
    """One row of the gradebook."""

    learner: str
    lesson: str
    exercise: str
    points: int
    max_points: int
    status: str


def rows(graded: Iterable[Graded]) -> list[Row]:
    """Return a row for each learner and each exercise of the lessons that occur in the class.

    Where several notebooks of a learner have an exercise, the best one counts.
    """
    by_learner: dict[str, list[Graded]] = {}
    for one in graded:
        by_learner.setdefault(one.learner, []).append(one)
    every = [one for submitted in by_learner.values() for one in submitted]
    occurring = {mark.lesson for one in every for mark in one.marks}
    asked = [
        (lesson.number, exercise)
        for lesson in lessons().values()
        if lesson.number in occurring
        for exercise in lesson.exercises
    ]
    return [
        _row(learner, lesson, exercise.name, exercise.points, submitted)
        for learner, submitted in sorted(by_learner.items())
        for lesson, exercise in asked
    ]


def as_csv(table: Iterable[Row]) -> str:
    """Return the gradebook as CSV text, in which no cell can become a formula.

    >>> print(as_csv([Row("=1+1", "02", "keep_top", 3, 11, "partial")]), end="")
    "learner","lesson","exercise","points","max_points","status"
    "'=1+1","02","keep_top",3,11,"partial"
    """
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(_HEADER)
    for row in table:
        writer.writerow([_cell(getattr(row, name)) for name in _HEADER])
    return text.getvalue()


def _row(learner: str, lesson: str, exercise: str, full: int, submitted: list[Graded]) -> Row:
    marks = [m for s in submitted for m in s.marks if (m.lesson, m.exercise) == (lesson, exercise)]
    if marks:
        best = max(marks, key=_worth)
        return Row(learner, lesson, exercise, best.points, full, best.status)
    return Row(learner, lesson, exercise, 0, full, _without_mark(submitted))


def _worth(mark: Mark) -> tuple[int, int]:
    return mark.points, _RANK[mark.status]


def _without_mark(submitted: list[Graded]) -> str:
    """Why a learner has no mark: a notebook that could not be read may have been the one."""
    statuses = {one.status for one in submitted}
    return next((s for s in ("not graded", "unreadable") if s in statuses), "missing")


def _cell(value: str | int) -> str | int:
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value
