"""Submissions graded per minute: `pruneedu grade` against nbgrader and otter-grader.

    python -m benchmarks.grading [--quick] [--submissions N] [--write]

All three grade answers to lesson 02's `keep_top` (right ones, one that rounds down, one not
attempted) with the same cases and weights, and must give the same points. Each is one command,
timed from its start to its end, start-up included, one grader after the other. The rivals take
seconds for each notebook, so they get the first sixth of the class; pruneedu, most of whose time is
start-up in a small class, grades as many, and then the whole class. The rivals are installed from
the package registry into environments of their own in the cache.
"""

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from benchmarks.common import CACHE, machine, publish, table
from benchmarks.grading_exercise import ANSWERS, EXERCISE, SEED
from benchmarks.grading_rivals import (
    NBGRADER,
    OTTER,
    Graded,
    cell,
    environment,
    nbgrader,
    otter,
    timed,
    write_notebook,
)


def pruneedu(work: Path, answers: list[str], workers: int) -> Graded:
    """Grade with `pruneedu grade`; gradebook, records and pages of feedback are counted."""
    for learner, answer in enumerate(answers):
        write_notebook(work / "submitted" / f"{learner:03}.ipynb", [cell(answer)])
    command = [sys.executable, "-m", "pruneedu.cli", "grade", "submitted", "--out", "results"]
    options = ["--seed", SEED, "--workers", workers]
    clock, processor, _ = timed(*command, *options, cwd=work)
    with (work / "results" / "gradebook.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["exercise"] == EXERCISE.name]
    return Graded(clock, processor, [float(row["points"]) for row in rows])


def measure(graders: dict[str, tuple[Callable, int]], answers: list[str]) -> dict[str, Graded]:
    """Let each grader mark its number of the answers, one grader after the other.

    Raises:
        RuntimeError: they do not give the same points.
    """
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for place, (name, (grader, number)) in enumerate(graders.items()):
            work = Path(scratch, str(place))
            work.mkdir()
            found[name] = grader(work, answers[:number])
            print(f"{name}: {number} submissions in {found[name].clock:.1f} s", flush=True)
    shared = min(len(one.points) for one in found.values())
    if len({tuple(one.points[:shared]) for one in found.values()}) > 1:
        points = "; ".join(f"{name}: {one.points[:shared]}" for name, one in found.items())
        raise RuntimeError(f"the graders do not give the same points: {points}")
    return found


def report(found: dict[str, Graded], workers: int) -> str:
    """Say in a table what was measured; the first two are ours: as many as the rivals, and all."""
    rates = {name: 60 * len(one.points) / one.clock for name, one in found.items()}
    rows = [
        [name, str(len(one.points)), *(f"{n:.1f}" for n in one[:2]), f"{rates[name]:.0f}"]
        for name, one in found.items()
    ]
    few, whole, *rivals = rates
    fastest = max(rivals, key=rates.get)
    header = ["", "submissions", "seconds", "of the processor", "submissions per minute"]
    return (
        f"{table(header, rows)}\n\n"
        f"Against {fastest}, the faster of the two, pruneedu grades "
        f"{rates[few] / rates[fastest]:.1f} times as many submissions per minute in a class of "
        f"{len(found[few].points)}, and {rates[whole] / rates[fastest]:.1f} times in a class of "
        f"{len(found[whole].points)}, where its start-up weighs less (the rivals' rate is from "
        f"{len(found[fastest].points)}). One exercise, the same cases, the same points; one run "
        f"each, start-up included; {workers} workers for pruneedu, one notebook at a time for the "
        f"others. {machine()}."
    )


def main(arguments: list[str] | None = None) -> None:
    """Install the rivals, measure, print, and write the table into the README if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--submissions", type=int, default=120, help="size of the class")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="of pruneedu")
    parser.add_argument("--quick", action="store_true", help="pruneedu alone, 12 submissions")
    parser.add_argument("--write", action="store_true", help="write the table into the README")
    parser.add_argument("--cache", type=Path, default=CACHE / "graders", help="of the rivals")
    options = parser.parse_args(arguments)
    number = 12 if options.quick else options.submissions
    ours = partial(pruneedu, workers=options.workers)
    graders = {"pruneedu grade": (ours, number // 6), "pruneedu grade, all": (ours, number)}
    if not options.quick:
        for requirement, grader in ((NBGRADER, nbgrader), (OTTER, otter)):
            python = environment(requirement, options.cache)
            graders[requirement.replace("==", " ")] = (partial(grader, python), number // 6)
    found = measure(graders, list(islice(cycle(ANSWERS), number)))
    if options.quick:
        return
    text = report(found, options.workers)
    print(f"\n{text}")
    if options.write:
        publish("grading", text)


if __name__ == "__main__":
    main()
