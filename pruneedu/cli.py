"""The command line: `pruneedu start · lab · check · progress` for learners, `grade` for classes,
`compress · run · inspect` for networks, `build · doctor` for the course itself.

Each command is one function that imports what it needs, so that `pruneedu --help` is quick.
"""

import argparse
import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from pruneedu.options import parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 not all right, 2 could not be done."""
    words, jupyter = _without_options_of_jupyter(sys.argv[1:] if arguments is None else arguments)
    commands = (start, lab, check, grade, build, doctor, inspect, run, compress, progress)
    options = parser(commands).parse_args(words, argparse.Namespace(jupyter=jupyter))
    try:
        status = options.command(options)
        sys.stdout.flush()  # A reader that has left is met here, not when Python ends.
        return status
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, BrokenPipeError) and _reader_has_left():
            return 1
        if not _is_for_the_user(error):
            raise
        print(f"pruneedu: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def start(options: argparse.Namespace) -> int:
    """Copy the lessons to the learner's folder and say what happened to each."""
    _copy_lessons(options.folder)
    print(f"Next: pruneedu lab {options.folder}")
    return 0


def lab(options: argparse.Namespace) -> int:
    """Copy the lessons, then open JupyterLab in the learner's folder."""
    from jupyterlab import labapp

    _copy_lessons(options.folder)
    # Its terminals then find `pruneedu` where no environment was activated.
    programs = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join((programs, os.environ.get("PATH", os.defpath)))
    # Started without a terminal, JupyterLab gives login shells, which set PATH anew. This is its
    # default only: what the user's configuration or options say goes before it.
    if os.name != "nt" and not sys.stdout.isatty():
        shell = {"shell_command": [os.environ.get("SHELL") or "sh"]}
        labapp.LabApp.serverapp_config = {
            **labapp.LabApp.serverapp_config,
            "terminado_settings": shell,
        }
    # In this process, not in a child: an interrupt then reaches JupyterLab, which ends its kernels.
    with contextlib.chdir(options.folder):
        labapp.main(options.jupyter)
    return 0


def check(options: argparse.Namespace) -> int:
    """Check the learner's notebook of one lesson in the terminal."""
    from pruneedu.course import terminal

    return terminal.check_lesson(options.lesson, options.folder)


def grade(options: argparse.Namespace) -> int:
    """Grade a folder of submissions."""
    from pruneedu.grading.grade import grade as grade_folder

    try:
        return grade_folder(
            options.submissions,
            options.out,
            workers=options.workers,
            timeout=options.timeout,
            seed=options.seed,
            isolation=options.isolation,
        )
    except KeyboardInterrupt:
        if list((options.out / "submissions").glob("*.json")):
            print(f"pruneedu: the same command goes on from {options.out}", file=sys.stderr)
        raise


def build(options: argparse.Namespace) -> int:
    """Build the notebooks of both folders from their sources, or compare them."""
    from pruneedu.course import builder

    said = builder.build(check=options.check)
    print("\n".join(said) or "each notebook is what its source makes")
    return int(options.check and bool(said))


def doctor(options: argparse.Namespace) -> int:
    """Say what the course finds on this machine, and how to mend what is wrong."""
    from pruneedu import doctor

    return doctor.report()


def inspect(options: argparse.Namespace) -> int:
    """Tell what is inside a compressed network's file, and what each component takes."""
    from pruneedu.running import naming
    from pruneedu.storage import inspect as inspected

    with naming(options.file):
        inspection = inspected(options.file.read_bytes())
    print(inspection)
    return 0


def run(options: argparse.Namespace) -> int:
    """Make a network from its compressed file alone, and evaluate it on a test split."""
    from pruneedu import running

    print(running.run(options.file, options.data))
    return 0


def compress(options: argparse.Namespace) -> int:
    """Train a network, prune, quantize and code it; interrupted, the same command goes on."""
    from pruneedu import compressing

    names = ("network", "data", "sparsity", "bits", "epochs", "seed")
    recipe = compressing.Recipe(**{name: getattr(options, name) for name in names})
    try:
        for line in compressing.compress(recipe, options.out, options.start):
            print(line, flush=True)
    except KeyboardInterrupt:
        folder = compressing.steps_folder(options.out)
        if list(folder.glob("step-*.pe")):
            print(f"pruneedu: the same command goes on from {folder}", file=sys.stderr)
        raise
    return 0


def progress(options: argparse.Namespace) -> int:
    """Show how far the learner is."""
    from pruneedu.course import progress

    if not options.folder.is_dir():
        start = f"`pruneedu start {options.folder}` copies the lessons"
        raise FileNotFoundError(f"{options.folder} is no folder: {start}")
    with contextlib.chdir(options.folder):
        print(progress.show())
    return 0


def _copy_lessons(folder: Path) -> None:
    from pruneedu.course import copying

    for lesson, what in copying.start(folder).items():
        print(f"{lesson}: {what}")


def _without_options_of_jupyter(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the words of `lab` at the first option: argparse would take `--port 8890` for its own.

    >>> _without_options_of_jupyter(["lab", "mine", "--port", "8890"])
    (['lab', 'mine'], ['--port', '8890'])
    """
    words = list(words)
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    if words[:1] != ["lab"] or words[first : first + 1] in (["-h"], ["--help"]):
        return words, []
    return words[:first], words[first:]


def _reader_has_left() -> bool:
    """Tell whether nobody reads the output any more, as after `| head`; then drop the rest."""
    try:
        print(flush=True)  # What failed before may be gone from the buffer.
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _is_for_the_user(error: Exception) -> bool:
    """Tell a sentence of the package or the file system from a fault, which keeps its traceback."""
    frames = list(traceback.walk_tb(error.__traceback__))
    raised_in = frames[-1][0].f_globals.get("__name__", "")
    return isinstance(error, OSError) or raised_in.startswith("pruneedu.")


if __name__ == "__main__":
    sys.exit(main())
