"""What a learner has done, in one small file that survives a restart."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import CodeType

from pruneedu.course.errors import LessonError
from pruneedu.course.exercises import Exercise, lessons

_NEW = {"passed": False, "failures": 0, "hints": 0, "code": ""}


def home() -> Path:
    """Return the folder of the progress file: `PRUNEEDU_HOME`, else `.pruneedu` here."""
    return Path(os.environ.get("PRUNEEDU_HOME", ".pruneedu"))


def load(exercise: str) -> dict:
    """Return what is recorded of an exercise: "passed", "failures", "hints", "code".

    "code" is a digest of the last answer that failed, and empty where none did.
    """
    return {**_NEW, **_read().get(exercise, {})}


def update(exercise: str, **fields) -> dict:
    """Change fields of one exercise's record and return it; the file is replaced in one step."""
    record = {**load(exercise), **fields}
    everything = {**_read(), exercise: record}
    home().mkdir(parents=True, exist_ok=True)
    new = home() / f"progress.{os.getpid()}.new"
    new.write_text(json.dumps(everything, indent=1), encoding="utf-8")
    new.replace(home() / "progress.json")
    return record


def failed(exercise: Exercise, function: Callable) -> str:
    """Count a failing check and return a hint: the next, or the last where the code is the same."""
    record, code = load(exercise.name), _digest(function)
    update(exercise.name, failures=record["failures"] + 1, code=code)
    if record["hints"] and code == record["code"]:
        return _hint(exercise, record["hints"])
    return next_hint(exercise)


def next_hint(exercise: Exercise) -> str:
    """Return the next hint and remember that it was shown; after the last, the last again."""
    number = min(load(exercise.name)["hints"] + 1, len(exercise.hints))
    update(exercise.name, hints=number)
    return _hint(exercise, number)


def _hint(exercise: Exercise, number: int) -> str:
    return f"Hint {number} of {len(exercise.hints)}: {exercise.hints[number - 1]}"


def show() -> str:
    """Return the progress of all lessons as text, a line an exercise."""
    lines = []
    for lesson in lessons().values():
        passed = sum(load(e.name)["passed"] for e in lesson.exercises)
        lines.append(f"{lesson.number} {lesson.title}: {passed} of {len(lesson.exercises)}")
        for exercise in lesson.exercises:
            record = load(exercise.name)
            state = "passed" if record["passed"] else "tried" if record["failures"] else "open"
            hints = f", hints used: {record['hints']}" if record["hints"] else ""
            lines.append(f"   {exercise.name}: {state}{hints}")
    return "\n".join(lines)


def _read() -> dict:
    path = home() / "progress.json"
    if not path.exists():
        return {}
    try:
        return {name: dict(record) for name, record in json.loads(path.read_bytes()).items()}
    except (ValueError, TypeError, AttributeError):
        raise LessonError(
            f"{path} does not hold what was saved; repair it, or delete it to start anew"
        ) from None


def _digest(function: Callable) -> str:
    """A digest of a function's code: what it does, not its comments, layout or place."""
    code = getattr(function, "__code__", None)
    return hashlib.sha256(repr(_meaning(code)).encode()).hexdigest()[:16] if code else ""


def _meaning(code: CodeType) -> tuple:
    constants = (_meaning(c) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, *constants
