"""What the command line understands: each command with its arguments and options."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

_SHIPPED = Path(".pruneedu", "shipped.json")  # `start` leaves it in the learner's folder


def parser(commands: Sequence[Callable]) -> argparse.ArgumentParser:
    """Return the parser of a command line; what it returns has the chosen command as `command`.

    Args:
        commands: functions; each is known by its name, and its docstring is its help.
    """
    whole = argparse.ArgumentParser(prog="pruneedu", description="A course on small networks.")
    subparsers = whole.add_subparsers(required=True, metavar="COMMAND")
    add_options = {
        "start": _folder,
        "lab": _lab,
        "check": _check,
        "grade": _grade,
        "build": _build,
        "inspect": _inspect,
        "run": _run,
        "compress": _compress,
        "progress": _folder,
    }
    for command in commands:
        name, words = command.__name__, command.__doc__
        sub = subparsers.add_parser(name, help=words.rstrip("."), description=words)
        sub.set_defaults(command=command)
        if name in add_options:
            add_options[name](sub)
    return whole


def _folder(sub: argparse.ArgumentParser) -> None:
    mine = Path() if _SHIPPED.exists() else Path("my-lessons")
    sub.add_argument("folder", nargs="?", type=Path, default=mine)


def _lab(sub: argparse.ArgumentParser) -> None:
    _folder(sub)
    sub.epilog = "After the folder, options of JupyterLab, such as --no-browser or --allow-root."


def _check(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("lesson", help="its number, for example 02")
    _folder(sub)


def _grade(sub: argparse.ArgumentParser) -> None:
    sub.epilog = (
        "Exit status: 0; 1 when a submission could not be graded whole; 2 when the run failed."
    )
    words = "folder with ada.ipynb or ada/*.ipynb for each learner; other files are ignored"
    sub.add_argument("submissions", type=Path, help=words)
    words = "folder of the results; one for each class. A run that was ended goes on there"
    sub.add_argument("--out", type=Path, required=True, help=words)
    words = "submissions at a time (default: %(default)s)"
    sub.add_argument("--workers", type=int, default=1, help=words)
    words = "seconds for each exercise (default: %(default)g)"
    sub.add_argument("--timeout", type=float, default=60, help=words)
    sub.add_argument("--seed", type=int, help="of the cases (default: secret and random)")
    words = (
        "namespaces shut each answer in (Linux); limits alone do not, so every answer has to be "
        "trusted (default: %(default)s)"
    )
    choices = ("namespaces", "limits")
    sub.add_argument("--isolation", choices=choices, default="namespaces", help=words)


def _build(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--check", action="store_true", help="compare only; execute nothing")


def _inspect(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("file", type=Path, help="a file that `pruneedu.storage.encode` made")


def _run(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("file", type=Path, help="a file that `pruneedu compress` made")
    sub.add_argument("--data", metavar="NAME", help="data set (default: the one the file names)")


def _compress(sub: argparse.ArgumentParser) -> None:
    networks = "mlp, lenet_300_100, lenet5, small_cnn, mnist1d_mlp or mnist1d_cnn"
    sub.add_argument("network", help=networks)
    sub.add_argument("data", help="data set, such as digits or mnist")
    words = "the compressed file; FILE.steps keeps what is done"
    sub.add_argument("--out", metavar="FILE", type=Path, required=True, help=words)
    words = "fraction of the weights that goes, less than 1 (default: %(default)s)"
    sub.add_argument("--sparsity", type=float, default=0.9, help=words)
    words = "of each weight and bias, 2 to 8 (default: %(default)s)"
    sub.add_argument("--bits", type=int, default=4, help=words)
    words = "passes over the data in each step (default: 10 to 60, by the size of the data)"
    sub.add_argument("--epochs", type=int, help=words)
    words = "of the first weights and of shuffling (default: %(default)s)"
    sub.add_argument("--seed", type=int, default=0, help=words)
    words = "trained weights to begin with: .pe, .safetensors, or a state dict of torch.save"
    sub.add_argument("--from", metavar="CHECKPOINT", dest="start", type=Path, help=words)
