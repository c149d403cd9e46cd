"""Copy the lessons to a learner's folder, by rules under which the learner's lines always win."""

import hashlib
import json
import os
from itertools import count
from pathlib import Path

_RECORD = Path(".pruneedu", "shipped.json")
_LEFT_BY_A_RUN = ("id", "metadata", "outputs", "execution_count")


def lessons_folder() -> Path:
    """Return the folder of the lessons: inside the installed package, or the clone's `lessons/`.

    Raises:
        FileNotFoundError: neither folder is there.
    """
    here = Path(__file__).resolve().parent
    candidates = (here / "notebooks", here.parents[1] / "lessons")
    for folder in candidates:
        if any(folder.glob("*.ipynb")):
            return folder
    places = " and ".join(map(str, candidates))
    raise FileNotFoundError(f"no lessons in {places}: install the pruneedu package again")


def start(folder: Path | str, source: Path | str | None = None) -> dict[str, str]:
    """Copy the lessons to `folder`; what a learner wrote there is never overwritten.

    A missing lesson is copied. One that the learner left as it was, or only ran, is brought up to
    date, without the outputs of the run. Where both the learner and the course changed a lesson,
    the learner's file stays and the new version is put beside it, as `NN_topic.new.ipynb`. The
    rules are those of nbgitpuller, but only cells count as changes.

    Args:
        folder: the learner's folder; it is made if it is missing.
        source: the folder of the lessons; the course's own by default.

    Returns:
        What happened to each lesson, by its file name: a few words for the learner.

    Raises:
        FileNotFoundError: the course's lessons are missing.
        ValueError: the learner's folder is a file or the folder of the lessons, or its record is
            damaged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as scratch:
    ...     lessons = Path(scratch, "lessons")
    ...     lessons.mkdir()
    ...     _ = Path(lessons, "00_start.ipynb").write_text('{"cells": []}')
    ...     start(Path(scratch, "mine"), lessons), start(Path(scratch, "mine"), lessons)
    ({'00_start.ipynb': 'copied'}, {'00_start.ipynb': 'already there'})
    """
    folder, source = Path(folder), Path(source or lessons_folder())
    if folder.resolve() == source.resolve():
        raise ValueError(f"{folder} holds the course's own lessons: name another folder for yours")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: name a folder for your lessons")
    folder.mkdir(parents=True, exist_ok=True)
    shipped = _read_record(folder)
    happened = {}
    for lesson in sorted(source.glob("*.ipynb")):
        new = lesson.read_bytes()
        happened[lesson.name] = _bring(folder / lesson.name, new, shipped.get(lesson.name))
        shipped[lesson.name] = [_digest(new), _digest(_written(new))]
    _write(folder / _RECORD, json.dumps(shipped, indent=1).encode())
    return happened


def _bring(mine: Path, new: bytes, shipped: list[str] | None) -> str:
    """Bring one lesson to the learner.

    Args:
        mine: the learner's file.
        new: the course's.
        shipped: digests of what the learner got before: of the file, and of what is written in it.
    """
    if not mine.exists():
        _write(mine, new)
        return "copied"
    learners = mine.read_bytes()
    file, written = shipped or (None, None)
    same = _written(learners) == _written(new)
    if file == _digest(new):
        return "already there" if same else "yours, left as it is"
    if written == _digest(_written(learners)):
        _write(mine, new)
        return "updated"
    if same:
        return "already there"
    return f"yours, left as it is; the new version is {_put_beside(mine, new)}"


def _written(content: bytes) -> bytes:
    """What somebody wrote in a notebook: its cells without what a run or a view leaves in them.

    Of a file that is not a notebook, all of it.
    """
    try:
        cells = [
            {key: value for key, value in cell.items() if key not in _LEFT_BY_A_RUN}
            | {"source": "".join(cell["source"])}
            for cell in json.loads(content)["cells"]
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return content
    return json.dumps(cells, sort_keys=True).encode()


def _put_beside(mine: Path, new: bytes) -> str:
    """Write `new` beside the learner's file, under the first name that takes nothing away."""
    endings = (f".new{number if number > 1 else ''}{mine.suffix}" for number in count(1))
    names = (mine.with_suffix(ending) for ending in endings)
    beside = next(path for path in names if not path.exists() or path.read_bytes() == new)
    _write(beside, new)
    return beside.name


def _read_record(folder: Path) -> dict[str, list[str]]:
    path = folder / _RECORD
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_bytes())
        return {name: [file, written] for name, (file, written) in record.items()}
    except (ValueError, TypeError, AttributeError) as damage:
        raise ValueError(f"{path} is damaged: delete it; your notebooks stay") from damage


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a killed copy must not leave half a notebook."""
    path.parent.mkdir(exist_ok=True)
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_bytes(content)
    os.replace(scratch, path)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
