"""Say what is wrong with an answer: where it first differs, and which known mistake it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pruneedu.course.comparing import alike, difference
from pruneedu.course.exercises import Case, Difference, Exercise, Mistake
from pruneedu.course.plain import NotPlainError, unpack

if TYPE_CHECKING:
    from pruneedu.course.judging import Key


def apart(exercise: Exercise, case: Case, expected: dict, seen: dict) -> Difference | None:
    """Return how an observation differs from what is expected, or None where it does not.

    Results are compared by the exercise's own rule, if it has one.
    """
    if "error" in expected or "error" in seen:
        wanted, got = (_outcome(s) for s in (expected, seen))
        same = "error" in expected and "error" in seen and wanted == got
        return None if same else Difference("the call", wanted, got)
    found = _results_apart(exercise, case, expected["result"], seen["result"])
    wanted, got = expected.get("gradient"), seen.get("gradient")
    if found or wanted is None:
        return found
    if got is None:
        return Difference("the result", "a tensor with a gradient", "one without")
    return difference(wanted, got, "the gradient")


def problem(
    exercise: Exercise, answers: Key, seen: list[dict], wrong: list[Difference | None]
) -> str:
    """Return the first wrong case, or else the first broken property, in one or two sentences."""
    for case, expected, got, found in zip(
        answers.cases, answers.expected, seen, wrong, strict=True
    ):
        if found is not None:
            return _describe(exercise, case, expected, got, found)
    for prop in exercise.properties:
        for sent, got in zip(answers.packed, seen, strict=True):
            if sentence := prop.broken(unpack(sent), got):
                return sentence
    return ""


def known_mistake(answers: Key, seen: list[dict], wrong: list[Difference | None]) -> Mistake | None:
    """Return the known mistake that the answer makes: same results, errors and side effects.

    That is the first mistake that agrees with the answer on every case. A mistake that shows where
    a value is asked for needs to agree only there: whether the answer refuses bad input is another
    question. If there is none, it is the one that agrees on the first part that is wrong, provided
    that only one does: other parts of the answer may be unfinished.
    """
    valued = {i for i, expected in enumerate(answers.expected) if "result" in expected}
    broken = [i for i, apart in enumerate(wrong) if apart is not None]
    for mistake, made in answers.mistakes:
        where = valued if _shows(answers, made, valued) else range(len(seen))
        if all(_same(made[i], seen[i]) for i in where):
            return mistake
    if not broken:
        return None
    part = {i for i in valued if answers.cases[i].part == answers.cases[broken[0]].part}
    fits = [
        mistake
        for mistake, made in answers.mistakes
        if _shows(answers, made, part) and all(_same(made[i], seen[i]) for i in part)
    ]
    return fits[0] if len(fits) == 1 else None


def _shows(answers: Key, made: tuple[dict, ...], where: set[int]) -> bool:
    """Whether a mistake differs from what is expected on any of these cases."""
    return any(not _same(answers.expected[i], made[i]) for i in where)


def _same(made: dict, seen: dict) -> bool:
    if "error" in made or "error" in seen:
        return _outcome(made) == _outcome(seen)
    compared = ("result", "gradient", "after")
    return difference(*([one.get(key) for key in compared] for one in (made, seen))) is None


def _results_apart(exercise: Exercise, case: Case, expected, got) -> Difference | None:
    return exercise.accept(case, expected, got) if exercise.accept else difference(expected, got)


def _outcome(seen: dict) -> str:
    return f"{seen['error']['type']} to be raised" if "error" in seen else "a result"


def _describe(exercise: Exercise, case: Case, expected: dict, seen: dict, found: Difference) -> str:
    note = f" ({case.note})" if case.note else ""
    if "error" in seen:
        return _describe_error(expected, seen["error"], note)
    if "error" in expected:
        return f"Expected {expected['error']['type']}{note}; it returned a result instead."
    results = (expected["result"], seen["result"])
    if exercise.explain and alike(*results) and _results_apart(exercise, case, *results):
        return exercise.explain(case, *results)
    return f"At {found.where}: expected {found.expected}, got {found.got}{note}."


def _describe_error(expected: dict, error: dict[str, str], note: str) -> str:
    if error["type"] == "NotRun":
        return "It ended before all cases had run."
    message = error["message"].rstrip(".")
    if error["type"] == NotPlainError.__name__:
        return f"What it returned cannot be judged{note}: {message}."
    raised = f"it raised {error['type']}" + (f": {message}" if message else "")
    line = f" Your line: `{error['line']}`" if error["line"] else ""
    if "error" in expected:
        return f"Expected {expected['error']['type']}{note}; {raised}.{line}"
    return f"I{raised[1:]}{note}.{line}"
