"""Find what was submitted, and read it without trusting it."""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

MAX_NOTEBOOK = 64_000_000  # bytes: learners save what a loop has printed


class UnreadableError(ValueError):
    """A submission that cannot be read; the sentence says why, to its learner."""


@dataclass(frozen=True)
class Submission:
    """One thing that was submitted.

    learner: the name under the folder of submissions; file: the path below it, for people to read;
    path: where it is; problem: why it is not read, or "".
    """

    learner: str
    file: str
    path: Path
    problem: str = ""

    @property
    def slug(self) -> str:
        """A name for files of results: safe on every system, and no other submission's."""
        safe = re.sub(r"[^A-Za-z0-9_-]+", "-", self.file.removesuffix(".ipynb"))[:60].strip("-")
        digest = hashlib.sha256(self.file.encode()).hexdigest()[:8]
        return f"{safe}-{digest}" if safe else digest


def collect(folder: Path) -> tuple[list[Submission], list[str]]:
    """List the submissions in `folder`: `ada.ipynb`, or `ada/*.ipynb` for several of one learner.

    Links are not followed; hidden files are left aside.

    Returns:
        The submissions, also those that cannot be read, and what is ignored: files that are named
        otherwise, and folders without a notebook.

    Errors: ValueError when `folder` is no folder or holds no submission.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: give the folder that holds the submissions")
    found, ignored = [], []
    for entry in _entries(folder):
        name = _readable(entry.name)
        if _is_notebook(entry.name):
            found.append(_submission(Path(name).stem, "", entry))
        elif entry.is_dir(follow_symlinks=False):
            own, others = _of_one_learner(name, entry)
            found += own
            ignored += others
        else:
            ignored.append(name)
    if not found:
        raise ValueError(f"{folder} holds no submissions: put ada.ipynb or ada/*.ipynb in it")
    return found, ignored


def read(submission: Submission) -> bytes:
    """Return the bytes of a submission.

    Errors: UnreadableError with a sentence for its learner.
    """
    if submission.problem:
        raise UnreadableError(submission.problem)
    safely = ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")  # what the entry was may have changed
    flags = sum(getattr(os, name, 0) for name in safely)
    try:
        with open(os.open(submission.path, os.O_RDONLY | flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableError("it is not a regular file")
            content = file.read(MAX_NOTEBOOK + 1) if status.st_size <= MAX_NOTEBOOK else None
    except OSError as error:
        raise UnreadableError(f"it cannot be opened: {error.strerror}") from None
    if content is None or len(content) > MAX_NOTEBOOK:
        raise UnreadableError(
            f"it is larger than {MAX_NOTEBOOK // 1_000_000} MB: clear its outputs and submit again"
        )
    return content


def decode(content: bytes) -> str:
    """Return a notebook's text.

    Errors: UnreadableError with a sentence for its learner.

    >>> decode(b"{}")
    '{}'
    """
    if content.startswith(b"PK\x03\x04"):
        raise UnreadableError("it is a zip archive: submit the notebook itself, as .ipynb")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError("it is not UTF-8 text, so it is not a notebook") from None


def _of_one_learner(learner: str, folder: os.DirEntry) -> tuple[list[Submission], list[str]]:
    try:
        entries = _entries(Path(folder.path))
    except OSError as error:
        problem = f"the folder cannot be opened: {error.strerror}"
        return [Submission(learner, learner, Path(folder.path), problem)], []
    found = [_submission(learner, f"{learner}/", e) for e in entries if _is_notebook(e.name)]
    others = [f"{learner}/{_readable(e.name)}" for e in entries if not _is_notebook(e.name)]
    return found, others if found else [f"{learner}/"]


def _submission(learner: str, prefix: str, entry: os.DirEntry) -> Submission:
    return Submission(learner, prefix + _readable(entry.name), Path(entry.path), _problem(entry))


def _problem(entry: os.DirEntry) -> str:
    if entry.is_symlink():
        return "it is a link, and links are not followed: submit the notebook itself"
    if entry.is_dir():
        return "it is a folder where a notebook was expected"
    return ""


def _is_notebook(name: str) -> bool:
    return name.lower().endswith(".ipynb")


def _entries(folder: Path) -> list[os.DirEntry]:
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)


def _readable(name: str) -> str:
    """A file's name as text that can be written: bytes that are not UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
