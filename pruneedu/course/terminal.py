"""`pruneedu check 02`: the checks of a learner's notebook, in the terminal."""

import contextlib
import linecache
from pathlib import Path

import torch

from pruneedu.course import judging, progress
from pruneedu.course.closing import hidden
from pruneedu.course.exercises import Exercise, lessons
from pruneedu.course.feedback import Feedback, feedback
from pruneedu.course.notebooks import NotANotebookError, answer, code_cells, is_copy, statements


def check_lesson(number: str, folder: Path) -> int:
    """Check every exercise of a learner's notebook and print the notebook's feedback, hints aside.

    The answers run in this process and in the folder, as they would in the learner's notebook, and
    what passes is remembered there.

    Args:
        number: of the lesson, such as "02".
        folder: where the learner's notebooks are.

    Returns:
        0 when all exercises pass, else 1.

    Raises:
        FileNotFoundError: the lesson's notebook is not in the folder.
        ValueError: there is no such lesson, or the file is not a notebook.
    """
    number = number.zfill(2)
    if number not in lessons():
        raise ValueError(f"there is no lesson {number!r}; there are {', '.join(lessons())}")
    record = lessons()[number]
    path = Path(folder) / f"{record.number}_{record.slug}.ipynb"
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is not there: `pruneedu start {folder}` copies the lessons"
        )
    body, notes = _read(path)
    open_ones = {e.name: e for lesson in lessons().values() for e in lesson.exercises}
    print(f"Lesson {record.number}, {record.title}: {path}")
    print("".join(f"  {note}\n" for note in notes), end="")
    torch.set_num_threads(1)  # as `Lesson` does
    with contextlib.chdir(folder):
        passed = [_check(exercise, body, open_ones) for exercise in record.exercises]
    return int(not all(passed))


def _read(path: Path) -> tuple[list, list[str]]:
    try:
        return statements(code_cells(path.read_text(encoding="utf-8")))
    except UnicodeDecodeError:
        raise ValueError(f"{path}: the file is not text, so it is not a notebook") from None
    except NotANotebookError as error:
        raise ValueError(f"{path}: {error}") from None


def _check(exercise: Exercise, body: list, open_ones: dict) -> bool:
    found = answer(body, exercise, open_ones)
    if not found.source:
        said = found.note or f"**{exercise.name}**: not attempted yet."
        print(Feedback("not attempted", (said,)))
        return False
    space: dict = {"__name__": "__main__"}
    place, lines = f"<{exercise.name}>", found.source.splitlines(keepends=True)
    linecache.cache[place] = (len(found.source), None, lines, place)  # so that errors name lines
    try:
        exec(compile(found.source, place, "exec"), space)
    except (Exception, SystemExit) as error:
        said = f"**{exercise.name}**: what it needs cannot run: {type(error).__name__}: {error}"
        print(Feedback("failed", (said,)))
        return False
    verdict = judging.check(
        exercise, space[exercise.name], closed=hidden(exercise, is_copy(found.source, exercise))
    )
    print(feedback(verdict))
    print(f"  {found.note}\n" if found.note else "", end="")
    if verdict.status == "passed":
        progress.update(exercise.name, passed=True)
    return verdict.status == "passed"
