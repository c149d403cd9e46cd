"""A class of learners whose marks are known in advance, made from the lessons' records."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from answer_cells import cell

from pruneedu.course.exercises import Exercise, LessonRecord, lessons
from pruneedu.course.judging import check
from pruneedu.course.observing import observe
from pruneedu.course.stubs import stub
from pruneedu.grading.jobs import Job, Outcome


@dataclass(frozen=True)
class Made:
    """A file of a submission; marks: the points and status of each exercise that it holds."""

    file: str
    content: bytes
    marks: dict[str, tuple[int, str]] = field(default_factory=dict)


def notebook(*cells: str, **fields) -> bytes:
    """A notebook of code cells, with no more than a notebook must have."""
    made = [
        {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], **fields}
        for source in cells
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def made(file: str, lesson: LessonRecord, functions: dict[str, Callable], seed: int) -> Made:
    """A notebook with these answers, stubs elsewhere; judged here, as it may be trusted."""
    cells, marks = [], {}
    for exercise in lesson.exercises:
        function = functions.get(exercise.name)
        cells.append(cell(function, exercise) if function else stub(exercise.reference))
        verdict = function and check(exercise, function, seed)
        marks[exercise.name] = (verdict.points, verdict.status) if verdict else OPEN
    return Made(file, notebook(*cells), marks)


OPEN = (0, "not attempted")


def solved(lesson: LessonRecord) -> dict[str, Callable]:
    return {exercise.name: exercise.reference for exercise in lesson.exercises}


def class_of(seed: int) -> list[Made]:
    """At least 30 notebooks: solved, half solved, each mistake and alternative of each exercise."""
    found = []
    for number, lesson in lessons().items():
        half = dict(list(solved(lesson).items())[: len(lesson.exercises) // 2])
        found += [
            made(f"solved-{number}.ipynb", lesson, solved(lesson), seed),
            made(f"half-{number}.ipynb", lesson, half, seed),
            made(f"untouched-{number}.ipynb", lesson, {}, seed),
        ]
        for kind in ("mistake", "alternative"):
            rows = itertools.zip_longest(*(_functions(e, kind) for e in lesson.exercises))
            for place, row in enumerate(rows):
                names = (exercise.name for exercise in lesson.exercises)
                functions = {name: f for name, f in zip(names, row, strict=True) if f}
                found.append(made(f"{kind}-{number}-{place}.ipynb", lesson, functions, seed))
    return found


class InProcess:
    """A stand-in for the sandbox that shuts nothing in: for answers of these tests only."""

    ran = 0

    def __init__(self, **_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def wait(self):
        pass

    def run(self, job: Job) -> Outcome:
        InProcess.ran += 1
        space: dict = {"__name__": "__main__"}
        exec(job.source, space)
        seen = tuple(observe(space[job.function], case) for case in job.cases)
        return Outcome(seen, "finished", "", 0.0)


def write(folder: Path, files: list[Made]) -> None:
    for one in files:
        path = folder / one.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.content)


def _functions(exercise: Exercise, kind: str) -> list[Callable]:
    if kind == "mistake":
        return [mistake.function for mistake in exercise.mistakes]
    return list(exercise.alternatives)
