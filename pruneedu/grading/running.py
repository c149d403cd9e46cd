"""Grade each submission of a class, and write what came of it: records, pages, the gradebook."""

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from pruneedu.course.notebooks import NotANotebookError
from pruneedu.grading import gradebook, pages, results, summary
from pruneedu.grading.marking import mark_notebook
from pruneedu.grading.results import Graded, Options
from pruneedu.grading.sandbox import Sandbox
from pruneedu.grading.submissions import Submission, UnreadableError, decode, read

_NAMED = 10  # ignored files that are named on the terminal; the summary names all


def grade_all(
    found: list[Submission], out: Path, options: Options, sandbox: Sandbox, workers: int
) -> list[Graded]:
    """Grade with `workers` threads; the order of the results is that of the submissions."""
    from tqdm import tqdm

    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(_grade_one, one, out, options, sandbox) for one in found]
        try:
            for job in tqdm(
                as_completed(jobs), "grading", len(jobs), file=sys.stderr, unit=" files"
            ):
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [job.result() for job in jobs]


def _grade_one(submission: Submission, out: Path, options: Options, sandbox: Sandbox) -> Graded:
    """Grade one submission, or take the record of it; write its record and its page."""
    content, problem = _content(submission)
    digest = hashlib.sha256(problem.encode("utf-8", "replace") + b"\0" + content).hexdigest()
    graded = results.load(out, submission.slug)
    fits = graded and (graded.digest, graded.options) == (digest, options)
    if not fits or _failed(graded):
        status, notes, marks = _attempt(content, problem, options, sandbox)
        names = (submission.learner, submission.file, submission.slug)
        graded = Graded(*names, digest, options, status, tuple(notes), tuple(marks))
        results.save(out, graded)
    results.write(out / "feedback" / f"{submission.slug}.html", pages.submission_page(graded))
    return graded


def _content(submission: Submission) -> tuple[bytes, str]:
    try:
        return read(submission), ""
    except UnreadableError as error:
        return b"", str(error)


def _attempt(
    content: bytes, problem: str, options: Options, sandbox: Sandbox
) -> tuple[str, list[str], list[results.Mark]]:
    """The status, notes and marks of one submission. Whatever it holds, the run goes on."""
    if problem:
        return "unreadable", [f"This was not graded, because {problem}."], []
    try:
        return "graded", *mark_notebook(decode(content), options.seed, sandbox)
    except (UnreadableError, NotANotebookError) as error:
        return "unreadable", [f"This was not graded, because {error}."], []
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:500]
        return "not graded", [f"This could not be graded: {reason}. A person will look at it."], []


def conclude(graded: list[Graded], ignored: list[str], out: Path) -> int:
    """Write gradebook and summary, say where they are, and return the exit status."""
    table = gradebook.rows(graded)
    results.write(out / "gradebook.csv", gradebook.as_csv(table))
    results.write(out / "index.html", summary.summary_page(table, graded, ignored))
    failed = sum(map(_failed, graded))
    unreadable = sum(one.status == "unreadable" for one in graded)
    print(f"Submissions: {len(graded)}. Gradebook: {out / 'gradebook.csv'}")
    print(f"Summary, with what to look at: {out / 'index.html'}")
    if ignored:
        names = ", ".join(map(ascii, ignored[:_NAMED])) + ", …" * (len(ignored) > _NAMED)
        print(f"Ignored, since only .ipynb files are submissions: {len(ignored)} ({names}).")
    if unreadable:
        print(f"Not graded, since they cannot be read: {unreadable}. The summary says why.")
    if failed:
        print(f"Not graded whole, through no fault of theirs: {failed}. The summary says which.")
    return int(failed + unreadable > 0)


def _failed(graded: Graded) -> bool:
    """Whether the grader failed on something of a submission, which a further run tries again."""
    return "not graded" in (graded.status, *(mark.status for mark in graded.marks))
