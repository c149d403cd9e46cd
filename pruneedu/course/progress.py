"""What a learner has done, in one small file that survives a restart."""

import json
import os
from pathlib import Path

from pruneedu.course.exercises import Exercise, lessons

_NEW = {"passed": False, "failures": 0, "hints": 0}


def home() -> Path:
    """Return the folder of the progress file: `PRUNEEDU_HOME`, else `.pruneedu` here."""
    return Path(os.environ.get("PRUNEEDU_HOME", ".pruneedu"))


def load(exercise: str) -> dict:
    """Return what is recorded of an exercise: "passed", "failures", "hints"."""
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


def next_hint(exercise: Exercise) -> str:
    """Return the next hint and remember that it was shown; after the last, the last again."""
    number = min(load(exercise.name)["hints"] + 1, len(exercise.hints))
    update(exercise.name, hints=number)
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
        raise ValueError(
            f"{path} does not hold what was saved; repair it, or delete it to start anew"
        ) from None
