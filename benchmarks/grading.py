"""Submissions graded per minute: `pruneedu grade` against nbgrader and otter-grader.

    python -m benchmarks.grading [--quick] [--submissions N] [--write]

All three grade the same answers to lesson 02's `keep_top` (right ones, one that rounds down, one
not attempted) with the same cases and weights, and must give the same points. Each is one command,
timed from its start to its end, start-up included, one grader after the other. The rivals are
installed from the package registry into environments of their own in the cache.
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


def measure(graders: dict[str, Callable], answers: list[str]) -> dict[str, Graded]:
    """Let the graders mark the same class, one after the other, each in a folder of its own.

    Raises:
        RuntimeError: they do not give the same points.
    """
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, grader) in enumerate(graders.items()):
            work = Path(scratch, str(number))
            work.mkdir()
            found[name] = grader(work, answers)
            print(f"{name}: {len(answers)} submissions in {found[name].clock:.1f} s", flush=True)
    if len({tuple(graded.points) for graded in found.values()}) > 1:
        points = "; ".join(f"{name}: {graded.points}" for name, graded in found.items())
        raise RuntimeError(f"the graders do not give the same points: {points}")
    return found


def report(found: dict[str, Graded], workers: int) -> str:
    """Say in a table what was measured; the first grader is ours."""
    rates = {name: 60 * len(one.points) / one.clock for name, one in found.items()}
    ours, *rivals = rates
    rows = [
        [name, f"{one.clock:.1f}", f"{one.processor:.1f}", f"{rates[name]:.0f}"]
        for name, one in found.items()
    ]
    fastest = max(rivals, key=rates.get)
    header = ["", "seconds", "of the processor", "submissions per minute"]
    by_processor = found[fastest].processor / found[ours].processor
    return (
        f"{table(header, rows)}\n\n"
        f"{ours} is {rates[ours] / rates[fastest]:.0f} times as fast as {fastest}, the faster of "
        f"the two; in processor time, {by_processor:.0f} times. "
        f"{len(found[ours].points)} submissions, one exercise, the same cases, the same points; "
        f"one run each, start-up included; pruneedu with {workers} workers, the others run "
        f"notebooks one at a time. {machine()}."
    )


def main(arguments: list[str] | None = None) -> None:
    """Install the rivals, measure, print, and write the table into the README if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--submissions", type=int, default=40, help="size of the class")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="of pruneedu")
    parser.add_argument("--quick", action="store_true", help="pruneedu alone, 8 submissions")
    parser.add_argument("--write", action="store_true", help="write the table into the README")
    parser.add_argument("--cache", type=Path, default=CACHE / "graders", help="of the rivals")
    options = parser.parse_args(arguments)
    graders = {"pruneedu grade": partial(pruneedu, workers=options.workers)}
    if options.quick:
        measure(graders, list(islice(cycle(ANSWERS), 8)))
        return
    for requirement, grader in ((NBGRADER, nbgrader), (OTTER, otter)):
        graders[requirement.replace("==", " ")] = partial(
            grader, environment(requirement, options.cache)
        )
    found = measure(graders, list(islice(cycle(ANSWERS), options.submissions)))
    text = report(found, options.workers)
    print(f"\n{text}")
    if options.write:
        publish("grading", text)


if __name__ == "__main__":
    main()
