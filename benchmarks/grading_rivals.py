"""nbgrader and otter-grader, each in an environment of its own, on the same class of notebooks.

Each function makes what its grader needs, grades, and returns the seconds and the points. Only the
grading is timed, as one command from its start: no assignment is made, no feedback is written.
"""

import csv
import json
import os
import resource
import subprocess
import sys
import sysconfig
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from benchmarks.grading_exercise import points, test_body

NBGRADER, OTTER = "nbgrader==0.9.6", "otter-grader==7.0.0"


class Graded(NamedTuple):
    """Seconds on the clock, seconds of the processor, and the points of each submission."""

    clock: float
    processor: float
    points: list[float]


def environment(requirement: str, cache: Path) -> Path:
    """Install a grader into an environment of its own, once; return its Python.

    A .pth file lets it import what this Python has after what is its own: the answers need PyTorch,
    which would take gigabytes once more.
    """
    folder = cache / requirement.replace("==", "-")
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        run(sys.executable, "-m", "venv", "--clear", folder)
        run(python, "-m", "pip", "install", "--quiet", requirement)
        ours = sysconfig.get_path("purelib")
        own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        Path(own, "this_python.pth").write_text(f"{ours}\n")
        ready.touch()
    return python


def nbgrader(python: Path, work: Path, answers: list[str]) -> Graded:
    """Grade with `nbgrader autograde`: locked cells with hidden tests, a gradebook in SQLite."""
    (work / "nbgrader_config.py").write_text("c = get_config()\n")
    source = [cell("", "keep_top", solution=True)]
    for number, (name, worth) in enumerate(points().items()):
        hidden = f"### BEGIN HIDDEN TESTS\n{test_body(name)}\n### END HIDDEN TESTS"
        source.append(cell(hidden, f"test_{number}", points=worth))
    write_notebook(work / "source" / "magnitude" / "answer.ipynb", source)
    run(python, "-m", "nbgrader", "generate_assignment", "magnitude", cwd=work)
    release = json.loads((work / "release" / "magnitude" / "answer.ipynb").read_text())
    for learner, answer in enumerate(answers):
        release["cells"][0]["source"] = answer
        target = work / "submitted" / f"{learner:03}" / "magnitude" / "answer.ipynb"
        write_notebook(target, release["cells"])
    clock, processor, _ = timed(python, "-m", "nbgrader", "autograde", "magnitude", cwd=work)
    run(python, "-m", "nbgrader", "export", cwd=work)
    with (work / "grades.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["student_id"])
    return Graded(clock, processor, [float(row["score"]) for row in rows])


def otter(python: Path, work: Path, answers: list[str]) -> Graded:
    """Grade with `otter.api.grade_submission` in one process; `otter run` would start each time."""
    tests = work / "tests"
    tests.mkdir()
    source = "from otter.test_files import test_case\n\nOK_FORMAT = False\nname = 'keep_top'\n"
    for number, (name, worth) in enumerate(points().items()):
        body = "\n".join(f"    {line}" for line in test_body(name).splitlines())
        source += f"\n\n@test_case(points={worth})\ndef test_{number}(keep_top):\n{body}\n"
    (tests / "keep_top.py").write_text(source)
    run(python, "-m", "otter", "generate", "--tests-dir", tests, "--no-requirements", cwd=work)
    for learner, answer in enumerate(answers):
        write_notebook(work / "submitted" / f"{learner:03}.ipynb", [cell(answer)])
    clock, processor, said = timed(python, "-c", _OTTER_LOOP, cwd=work)
    return Graded(clock, processor, json.loads(said.splitlines()[-1]))


_OTTER_LOOP = """
import json
from pathlib import Path
from otter.api import grade_submission

files = sorted(map(str, Path("submitted").glob("*.ipynb")))
print(json.dumps([grade_submission(file, quiet=True).total for file in files]))
"""


def cell(source: str, name: str = "", solution: bool = False, points: int = 0) -> dict:
    """Make a code cell; one with a name says in its metadata what nbgrader does with it."""
    meta = {"grade": not solution, "solution": solution, "locked": not solution, "task": False}
    meta |= {"grade_id": name, "schema_version": 3} | ({} if solution else {"points": points})
    metadata = {"nbgrader": meta} if name else {}
    cell = {"cell_type": "code", "execution_count": None, "outputs": []}
    return cell | {"metadata": metadata, "source": source}


def write_notebook(path: Path, cells: list[dict]) -> None:
    """Write a notebook of these cells, and the folders above it."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [cell | {"id": f"cell-{number}"} for number, cell in enumerate(cells)]
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | {"cells": cells}))


def timed(*command: str | Path | int, cwd: Path) -> tuple[float, float, str]:
    """Run a command; return its seconds on the clock and of the processor, and what it prints."""
    clock, processor = perf_counter(), _children_seconds()
    said = run(*command, cwd=cwd)
    return perf_counter() - clock, _children_seconds() - processor, said


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(*command: str | Path | int, cwd: Path | None = None) -> str:
    """Run a command and return what it prints; fail with what it says."""
    # nbgrader calls programs that lie beside its Python.
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ["PATH"]])
    environ = os.environ | {"PATH": path}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environ, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)[:200]} failed:\n{done.stderr[-2000:]}")
    return done.stdout
