"""A whole class, graded in the sandbox: marks known in advance, twice, and after a kill."""

import csv
import os
import signal
import subprocess
import sys
import time
from html import unescape
from pathlib import Path

import a_class
import odd_notebooks
import pytest
from a_class import Made

from pruneedu.course.exercises import find, lessons
from pruneedu.grading import isolation
from pruneedu.grading.grade import grade

SEED, TIMEOUT = 20_261, 5.0
LONGEST = 300  # seconds until a run counts as stuck
UNREADABLE = {"empty", "blank", "not-json", "number", "old-format", "deep-json", "latin-1"}
UNREADABLE |= {"zip"}

needs_namespaces = pytest.mark.skipif(
    isolation.available() is not None, reason=f"no namespaces here: {isolation.available()}"
)


@pytest.fixture(scope="module")
def files() -> list[Made]:
    return [*a_class.class_of(SEED), *odd_notebooks.broken(), *odd_notebooks.hostile()]


@pytest.fixture(scope="module")
def submissions(files, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("class") / "submissions"
    a_class.write(folder, files)
    (folder / "a-folder.ipynb").mkdir()
    (folder / "a-link.ipynb").symlink_to(folder / f"solved-{min(lessons())}.ipynb")
    return folder


@pytest.fixture(scope="module")
def graded(submissions) -> Path:
    out = submissions.parent / "results"
    assert (
        grade(submissions, out, workers=2, timeout=TIMEOUT, seed=SEED) == 1
    )  # some are unreadable
    return out


def table(out: Path) -> dict[tuple[str, str], tuple[int, str]]:
    with open(out / "gradebook.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = {(r["learner"], r["exercise"]): (int(r["points"]), r["status"]) for r in rows}
    assert len(found) == len(rows)
    return found


def expected(files: list[Made]) -> dict[tuple[str, str], tuple[int, str]]:
    """The marks known in advance; of two notebooks of a learner the better one counts."""
    unreadable = {*UNREADABLE, "a-folder", "a-link"}
    notebooks = (one.file for one in files if not one.file.endswith(".zip"))
    learners = {file.split("/")[0].removesuffix(".ipynb") for file in notebooks}
    exercises = [exercise.name for lesson in lessons().values() for exercise in lesson.exercises]
    found = {}
    for learner in learners | unreadable:
        status = "unreadable" if learner in unreadable else "missing"
        shown = f"'{learner}" if learner.startswith("=") else learner
        found |= {(shown, exercise): (0, status) for exercise in exercises}
        for one in files:
            if one.file.split("/")[0].removesuffix(".ipynb") == learner:
                found |= {(shown, exercise): mark for exercise, mark in one.marks.items()}
    return found


@pytest.mark.namespaces
@needs_namespaces
def test_a_class_gets_exactly_the_marks_known_in_advance(graded, files):
    assert len(files) >= 30
    wanted, got = expected(files), table(graded)
    assert {key: (got.get(key), mark) for key, mark in wanted.items() if got.get(key) != mark} == {}
    assert got.keys() == wanted.keys()


@pytest.mark.namespaces
@needs_namespaces
def test_a_mistake_is_named_on_the_page(graded):
    exercise = find("keep_top")[1]
    pages = unescape("".join(p.read_text() for p in (graded / "feedback").glob("mistake-02-*")))
    for mistake in exercise.mistakes:
        assert mistake.says.split("`")[0] in pages


@pytest.mark.namespaces
@needs_namespaces
def test_nothing_hostile_reaches_a_page_or_a_cell(graded):
    for page in (*(graded / "feedback").glob("*.html"), graded / "index.html"):
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "<img" not in text
        assert "onload=alert(2)>" not in text
        assert "<b>tags" not in text
    learners = {learner for learner, _ in table(graded)}
    assert "'=cmd|' C'!A0" in learners
    assert not any(learner.startswith(("=", "+", "-", "@")) for learner in learners)


@pytest.mark.namespaces
@needs_namespaces
def test_a_killed_run_goes_on_and_ends_with_the_same_gradebook(graded, submissions, tmp_path):
    out = tmp_path / "results"
    command = [sys.executable, "-m", "pruneedu.cli", "grade", str(submissions), "--out", str(out)]
    command += ["--workers", "3", "--timeout", str(TIMEOUT), "--seed", str(SEED)]
    total = len(list((graded / "submissions").iterdir()))
    records, deadline = out / "submissions", time.monotonic() + LONGEST
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as run:
        try:
            while not records.exists() or len(list(records.glob("*.json"))) < total // 2:
                assert run.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            os.kill(run.pid, signal.SIGKILL)
    assert not (out / "gradebook.csv").exists()
    before = {path: (path.stat().st_mtime_ns, path.read_text()) for path in records.glob("*.json")}
    resumed = subprocess.run(command, check=False, stderr=subprocess.DEVNULL, timeout=LONGEST)
    assert resumed.returncode == 1  # some are unreadable
    again = [text for path, (at, text) in before.items() if path.stat().st_mtime_ns != at]
    assert again == []
    assert dict(table(out).items() ^ table(graded).items()) == {}
    for name in ("gradebook.csv", "grading.json", "index.html"):
        assert (out / name).read_bytes() == (graded / name).read_bytes(), name
    for folder in ("submissions", "feedback"):
        names = sorted(path.name for path in (graded / folder).iterdir())
        assert sorted(path.name for path in (out / folder).iterdir()) == names
        for name in names:
            assert (out / folder / name).read_bytes() == (graded / folder / name).read_bytes(), name
