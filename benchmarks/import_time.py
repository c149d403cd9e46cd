"""What does the whole public library cost over `import torch`?

    python -m benchmarks.import_time [--quick] [--write]

`import pruneedu` alone imports next to nothing, so every public name is asked for. Each import runs
in a fresh process, the two in turn. A process times its own statement: on the clock, and in
processor time, which other programs on the machine disturb less.
"""

import argparse
import subprocess
import sys

from benchmarks.common import machine, publish, spread, table

STATEMENTS = ("import torch", "from pruneedu import *")


def seconds(statement: str) -> tuple[float, float]:
    """Import in a fresh process; return the seconds on the clock and of the processor.

    >>> clock, processor = seconds("import json")
    >>> 0 < processor < 5
    True
    """
    code = (
        "from time import perf_counter as clock, process_time as cpu\n"
        f"a, b = clock(), cpu()\n{statement}\nprint(clock() - a, cpu() - b)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    clock, processor = map(float, done.stdout.split())
    return clock, processor


def report(runs: list[dict[str, tuple[float, float]]]) -> str:
    """Say in a table what was measured; differences are taken pair by pair."""
    rows = []
    for place, kind in enumerate(("on the clock", "of the processor")):
        torch, ours = ([run[one][place] for run in runs] for one in STATEMENTS)
        more = [b - a for a, b in zip(torch, ours, strict=True)]
        rows.append([f"seconds {kind}", spread(torch), spread(ours), spread(more)])
    header = ["median (quartiles)", *(f"`{one}`" for one in STATEMENTS), "more"]
    return f"{table(header, rows)}\n\n{len(runs)} fresh processes each, in turn. {machine()}."


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write the table into the README if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 pairs instead of 11")
    parser.add_argument("--write", action="store_true", help="write the table into the README")
    options = parser.parse_args(arguments)
    for statement in STATEMENTS:  # The first import reads the files from the disk.
        seconds(statement)
    pairs = range(3 if options.quick else 11)
    text = report([{one: seconds(one) for one in STATEMENTS} for _ in pairs])
    print(text)
    if options.write:
        publish("import_time", text)


if __name__ == "__main__":
    main()
