"""`pruneedu grade`: from a folder of submissions to a gradebook and pages of feedback."""

from pathlib import Path

from pruneedu.grading import isolation, results
from pruneedu.grading.sandbox import Sandbox
from pruneedu.grading.submissions import collect


def grade(
    submissions: Path,
    out: Path,
    *,
    workers: int = 1,
    timeout: float = 60,
    seed: int | None = None,
    isolation: str = "namespaces",
) -> int:
    """Grade a folder of submissions. A run that was ended goes on where it was.

    Args:
        submissions: folder with `ada.ipynb`, or `ada/*.ipynb`, for each learner.
        out: folder of the results: gradebook.csv, index.html, feedback/ (a page for each
            submission) and, not for learners, submissions/ (records) and grading.json (the seed).
        workers: submissions at a time.
        timeout: seconds for each exercise.
        seed: of the cases, the same for everybody; secret and random if None.
        isolation: "namespaces", or "limits" where there are none.

    Returns:
        0, or 1 when a submission could not be graded whole, whether it cannot be read or the
        grader failed: a person has to look at it.

    Raises:
        ValueError: folders or options that cannot be used; `out` holds another class.
        RuntimeError: no namespaces here.
    """
    _check(submissions, out, workers, timeout, seed)
    _check_isolation(isolation)
    found, ignored = collect(submissions)
    options = results.settle(out, submissions, seed, isolation, timeout)
    with Sandbox(isolation=isolation, timeout=timeout) as sandbox:
        from pruneedu.grading import running  # it imports torch, as the server does meanwhile

        sandbox.wait()
        graded = running.grade_all(found, out, options, sandbox, workers)
    return running.conclude(graded, ignored, out)


def _check(submissions: Path, out: Path, workers: int, timeout: float, seed: int | None) -> None:
    if out.resolve().is_relative_to(submissions.resolve()):
        raise ValueError(
            f"the results would go into the submissions ({out}), where they look like a learner's: "
            "choose a folder beside it"
        )
    for name in results.FOLDERS:
        if submissions.resolve().is_relative_to((out / name).resolve()):
            raise ValueError(
                f"{submissions} lies where {out} keeps its results ({name}): name another folder "
                "with --out"
            )
    if workers < 1 or timeout <= 0:
        raise ValueError(f"give at least one worker and some time, not {workers} and {timeout} s")
    if seed is not None and not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}: choose a whole number from 0 to {2**32 - 1}")


def _check_isolation(wanted: str) -> None:
    if wanted not in ("namespaces", "limits"):
        raise ValueError(f"isolation is {wanted!r}: choose 'namespaces' or 'limits'")
    reason = isolation.available() if wanted == "namespaces" else None
    if reason:
        raise RuntimeError(
            f"{reason}. Without namespaces a submission could reach others and the marks. Grade on "
            "Linux, or, where you trust every submission, with --isolation limits"
        )
