"""Judge what was observed of a learner's function. Runs no line of the learner's."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch

from pruneedu.course.closing import without
from pruneedu.course.comparing import difference
from pruneedu.course.exercises import Case, Difference, Exercise, Mistake, Property
from pruneedu.course.explaining import apart, known_mistake, problem
from pruneedu.course.observing import observe, raised, read_observation
from pruneedu.course.plain import pack, unpack

NOTEBOOK_SEED = 0


@dataclass(frozen=True)
class Verdict:
    """The judgement of one answer.

    Attributes:
        exercise: its name.
        status: "passed", "partial", "failed" or "not attempted".
        points: what it earns, of `max_points`.
        right: cases answered as expected, of `cases`.
        held: for each part and property its text, its weight and whether it holds.
        problem: the first thing that is wrong, in one sentence.
        mistake: the known mistake that the answer makes.
    """

    exercise: str
    status: str
    points: int
    max_points: int
    right: int
    cases: int
    held: tuple[tuple[str, int, bool], ...]
    problem: str = ""
    mistake: Mistake | None = None


@dataclass(frozen=True)
class Key:
    """The answer key of an exercise for one seed: cases, what is sent, what is expected of each."""

    cases: tuple[Case, ...]
    packed: tuple[bytes, ...]
    expected: tuple[dict, ...]
    mistakes: tuple[tuple[Mistake, tuple[dict, ...]], ...]


@cache
def key(exercise: Exercise, seed: int) -> Key:
    """Compute the answer key once: the reference and each known mistake on every case."""
    cases = tuple(exercise.cases(seed))
    packed = tuple(pack({"args": list(c.args), "kwargs": dict(c.kwargs)}) for c in cases)
    return Key(
        cases,
        packed,
        _run(exercise.reference, packed),
        tuple((m, _run(m.function, packed)) for m in exercise.mistakes),
    )


def check(
    exercise: Exercise,
    function: Callable,
    seed: int = NOTEBOOK_SEED,
    closed: tuple[str, ...] = (),
) -> Verdict:
    """Run a function here, on copies of the cases, and judge it: for code that may be trusted.

    PyTorch's random numbers after the check are those that would have come without it.

    Args:
        exercise: the record.
        function: the answer.
        seed: of the cases.
        closed: dotted paths of library functions that the answer may not call.
    """
    with torch.random.fork_rng(devices=[]):
        packed = key(exercise, seed).packed
        with without(closed):
            observations = tuple(observe(function, case) for case in packed)
        return judge(exercise, observations, seed)


def judge(exercise: Exercise, observations: tuple[bytes, ...], seed: int) -> Verdict:
    """Judge what was observed of an answer, without running a line of it.

    An answer that raises `NotImplementedError` on each case, as the stub does, is not attempted.

    Args:
        exercise: the record.
        observations: one for each case, in their order, as `observe` packs them. They are not
            trusted; those that are missing count as wrong.
        seed: of the cases that were observed.
    """
    answers = key(exercise, seed)
    rows = zip(observations, answers.packed, strict=False)
    seen = [_fitted(read_observation(message), unpack(case)) for message, case in rows]
    seen += [raised("NotRun")] * (len(answers.cases) - len(seen))
    wrong = _wrong(exercise, answers, seen)
    held = _held(exercise, answers, seen, wrong)
    if all(_is_open(exercise, one) for one in seen):
        held = tuple((text, weight, False) for text, weight, _ in held)
        return Verdict(exercise.name, "not attempted", 0, exercise.points, 0, len(seen), held)
    points = _points(exercise, answers, held)
    passed = all(holds for _, _, holds in held)
    return Verdict(
        exercise.name,
        "passed" if passed else "partial" if points else "failed",
        points,
        exercise.points,
        sum(w is None for w in wrong),
        len(seen),
        held,
        "" if passed else problem(exercise, answers, seen, wrong),
        None if passed else known_mistake(answers, seen, wrong),
    )


def untouched(weight: int = 1) -> Property:
    """The property that the call leaves its arguments as they were."""

    def broken(sent: dict, seen: dict) -> str | None:
        if seen["after"] is None:
            return "After the call the arguments can no longer be read."
        change = difference(sent, seen["after"], "the arguments")
        if change is None:
            return None
        place = re.sub(r"^the arguments(\['k?w?args'\])?", "", change.where)
        return (
            f"The call changes its input: argument {place} was {change.expected} "
            f"and is {change.got} afterwards. Work on a copy."
        )

    return Property("the input is not changed", weight, broken)


def _run(function: Callable, packed: tuple[bytes, ...]) -> tuple[dict, ...]:
    return tuple(unpack(observe(function, case)) for case in packed)


def _fitted(seen: dict, sent: dict) -> dict:
    """The observation; its "after" is None unless it has the form of what was sent."""
    after = seen["after"]
    fits = (
        type(after) is dict
        and after.keys() == sent.keys()
        and type(after["args"]) is list
        and len(after["args"]) == len(sent["args"])
        and type(after["kwargs"]) is dict
        and after["kwargs"].keys() == sent["kwargs"].keys()
    )
    return seen if fits else {**seen, "after": None}


def _is_open(exercise: Exercise, seen: dict) -> bool:
    """Whether this is what the exercise's own stub does, not another that the answer calls."""
    error = seen.get("error", {"type": "", "message": ""})
    own = not error["message"] or error["message"].startswith(f"{exercise.name}:")
    return error["type"] == "NotImplementedError" and own


def _wrong(exercise: Exercise, answers: Key, seen: list[dict]) -> list[Difference | None]:
    rows = zip(answers.cases, answers.expected, seen, strict=True)
    return [apart(exercise, case, expected, got) for case, expected, got in rows]


def _held(
    exercise: Exercise, answers: Key, seen: list[dict], wrong: list[Difference | None]
) -> tuple[tuple[str, int, bool], ...]:
    """For each part and each property: its text, its weight, whether it holds on all its cases."""
    parts = [
        (
            part,
            weight,
            all(w is None for w, c in zip(wrong, answers.cases, strict=True) if c.part == part),
        )
        for part, weight in exercise.parts.items()
    ]
    sent = [unpack(case) for case in answers.packed]
    properties = [
        (p.text, p.weight, not any(p.broken(s, o) for s, o in zip(sent, seen, strict=True)))
        for p in exercise.properties
    ]
    return (*parts, *properties)


def _points(exercise: Exercise, answers: Key, held: tuple) -> int:
    """Sum the weights that hold, once a part does that asks for a value, not only for an error."""
    valued = {c.part for c, e in zip(answers.cases, answers.expected, strict=True) if "result" in e}
    earned = any(holds and text in valued for text, _, holds in held[: len(exercise.parts)])
    return sum(weight for _, weight, holds in held if holds) if earned else 0
