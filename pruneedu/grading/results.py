"""What is known of each submission, written as it ends, so that a killed run goes on."""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

FOLDERS = ("submissions", "feedback")  # of a folder of results

# In the order of the better one, for equal points.
STATUSES: Mapping[str, str] = {
    "passed": "Everything that is checked holds.",
    "partial": "Something holds, and something does not.",
    "failed": "The answer earned nothing: it is wrong, or it is not valid Python.",
    "not attempted": "The exercise is as it was handed out.",
    "timeout": "The answer did not end in time; the cases before that count.",
    "ended early": "The answer ended before all cases had run; the cases before that count.",
    "missing": "No notebook of this learner has the function.",
    "unreadable": "A file of this learner could not be read as a notebook.",
    "not graded": "The grader failed. This is not the learner's fault: look at it.",
}


@dataclass(frozen=True)
class Options:
    """What the marks of a class depend on, beside what each learner submitted.

    submissions: the folder of the class; sources: a digest of the package's Python files.
    """

    version: str
    seed: int
    isolation: str
    timeout: float
    submissions: str
    sources: str


@dataclass(frozen=True)
class Mark:
    """The mark of one exercise; status is one of `STATUSES`; copied: it is the library's source."""

    lesson: str
    exercise: str
    points: int
    max_points: int
    status: str
    lines: tuple[str, ...]
    copied: bool = False


@dataclass(frozen=True)
class Graded:
    """What came of one submission.

    digest: of what was submitted; status: graded, unreadable or not graded; notes: what the learner
    should know beside the marks.
    """

    learner: str
    file: str
    slug: str
    digest: str
    options: Options
    status: str
    notes: tuple[str, ...]
    marks: tuple[Mark, ...] = ()


def settle(
    out: Path, submissions: Path, seed: int | None, isolation: str, timeout: float
) -> Options:
    """Return the options of the run in `out`, and record them there.

    A seed that is not given is secret and random, and the same when the run goes on. Where the
    package's sources have changed since, they are the new ones, and no earlier record fits.

    Errors: ValueError when another class or other options are recorded.
    """
    path = out / "grading.json"
    recorded = _options(path) if path.exists() else None
    if seed is None:
        seed = recorded.seed if recorded else secrets.randbelow(2**32)
    folder = str(submissions.resolve())
    options = Options(version("pruneedu"), seed, isolation, timeout, folder, sources())
    if recorded:
        _refuse_others(out, recorded, options)
        if recorded.sources != options.sources:
            print("The sources of pruneedu have changed: all of the class is graded again.")
    out.mkdir(parents=True, exist_ok=True)
    write(path, json.dumps(asdict(options), indent=1) + "\n")
    return options


@cache
def sources() -> str:
    """Return a digest of the package's Python files: with others, marks may be others too."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _refuse_others(out: Path, recorded: Options, options: Options) -> None:
    if recorded.submissions != options.submissions:
        raise ValueError(
            f"{out} holds the results of {recorded.submissions}, not of {options.submissions}: "
            "name another folder with --out"
        )
    for name, wanted in asdict(replace(options, sources=recorded.sources)).items():
        there = getattr(recorded, name)
        if there != wanted:
            what = "" if name == "seed" else f" {there!r}, not {wanted!r}"  # the seed is secret
            raise ValueError(
                f"{out} was graded with another {name}{what}; marks of both would not compare: "
                "name another folder with --out"
            )


def save(out: Path, graded: Graded) -> None:
    """Write the record of one submission."""
    write(_record(out, graded.slug), json.dumps(asdict(graded), indent=1) + "\n")


def load(out: Path, slug: str) -> Graded | None:
    """Return the record of a submission, or None when there is none that is whole."""
    try:
        fields = json.loads(_record(out, slug).read_text(encoding="utf-8"))
        marks = tuple(Mark(**{**m, "lines": tuple(m["lines"])}) for m in fields.pop("marks"))
        options, notes = Options(**fields.pop("options")), tuple(fields.pop("notes"))
        return Graded(**fields, options=options, notes=notes, marks=marks)
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all; leave one that reads the same as it is."""
    content = text.encode("utf-8", "backslashreplace")
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    os.replace(new, path)


def _record(out: Path, slug: str) -> Path:
    return out / "submissions" / f"{slug}.json"


def _options(path: Path) -> Options:
    try:
        return Options(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise ValueError(
            f"{path} cannot be read, so the seed of this class is lost: restore it, or name "
            "another folder with --out"
        ) from None
