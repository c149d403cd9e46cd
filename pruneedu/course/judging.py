"""Judge what was observed of a learner's function. Runs no line of the learner's."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from pruneedu.course.comparing import alike, difference
from pruneedu.course.exercises import Case, Difference, Exercise, Mistake, Property
from pruneedu.course.observing import observe
from pruneedu.course.plain import NotPlainError, pack, unpack

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


def check(exercise: Exercise, function: Callable, seed: int = NOTEBOOK_SEED) -> Verdict:
    """Run a function here, on copies of the cases, and judge it: for code that may be trusted.

    Args:
        exercise: the record.
        function: the answer.
        seed: of the cases.
    """
    return judge(exercise, tuple(observe(function, c) for c in key(exercise, seed).packed), seed)


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
    seen = [_read(message) for message in observations[: len(answers.cases)]]
    seen += [_raised("NotRun")] * (len(answers.cases) - len(seen))
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
        "" if passed else _problem(exercise, answers, seen, wrong),
        None if passed else _named(answers, seen, wrong),
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


def _read(message: bytes) -> dict:
    """Read one observation: "result" or "error", and "after"; a malformed one is an error."""
    try:
        seen = unpack(message)
    except NotPlainError as error:
        return _raised("NotPlainError", str(error))
    seen = seen if type(seen) is dict else {}
    after, error = seen.get("after"), seen.get("error")
    if type(error) is dict and all(type(error.get(k)) is str for k in ("type", "message")):
        return _raised(error["type"], error["message"], after)
    if "result" in seen and "error" not in seen:
        return {"result": seen["result"], "gradient": seen.get("gradient"), "after": after}
    return _raised("NotPlainError", "the observation is malformed")


def _raised(kind: str, message: str = "", after: object = None) -> dict:
    """An observed error, its text cut short and made printable: the learner chose it."""
    return {"error": {"type": _shown(kind, 80), "message": _shown(message, 500)}, "after": after}


def _shown(text: str, most: int) -> str:
    return "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text[:most]
    )


def _is_open(exercise: Exercise, seen: dict) -> bool:
    """Whether this is what the exercise's own stub does, not another that the answer calls."""
    error = seen.get("error", {"type": "", "message": ""})
    own = not error["message"] or error["message"].startswith(f"{exercise.name}:")
    return error["type"] == "NotImplementedError" and own


def _apart(exercise: Exercise, case: Case, expected: dict, seen: dict) -> Difference | None:
    """How an observation differs from what is expected, by the exercise's own rule if any."""
    if "error" in expected or "error" in seen:
        wanted, got = (_outcome(s) for s in (expected, seen))
        same = "error" in expected and "error" in seen and wanted == got
        return None if same else Difference("the call", wanted, got)
    compare = exercise.accept or (lambda _case, e, g: difference(e, g))
    apart = compare(case, expected["result"], seen["result"])
    wanted, got = expected.get("gradient"), seen.get("gradient")
    if apart or wanted is None:
        return apart
    if got is None:
        return Difference("the result", "a tensor with a gradient", "one without")
    return difference(wanted, got, "the gradient")


def _outcome(seen: dict) -> str:
    return f"{seen['error']['type']} to be raised" if "error" in seen else "a result"


def _wrong(exercise: Exercise, answers: Key, seen: list[dict]) -> list[Difference | None]:
    rows = zip(answers.cases, answers.expected, seen, strict=True)
    return [_apart(exercise, case, expected, got) for case, expected, got in rows]


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


def _named(answers: Key, seen: list[dict], wrong: list) -> Mistake | None:
    """The known mistake that the answer makes: same results, gradients, errors, side effects.

    On every case, if there is one such mistake. Cases that ask for an error then count only for
    mistakes that show nowhere else: whether or not an answer refuses bad input, its other mistake
    has a name. Otherwise on every case of the first part that is wrong, if one mistake alone fits
    there: tired answers leave other parts open as well.
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


def _problem(exercise: Exercise, answers: Key, seen: list[dict], wrong: list) -> str:
    """The first wrong case, or else the first broken property, in one or two sentences."""
    for case, expected, got, apart in zip(
        answers.cases, answers.expected, seen, wrong, strict=True
    ):
        if apart is not None:
            return _describe(exercise, case, expected, got, apart)
    for prop in exercise.properties:
        for sent, got in zip(answers.packed, seen, strict=True):
            if sentence := prop.broken(unpack(sent), got):
                return sentence
    return ""


def _describe(exercise: Exercise, case: Case, expected: dict, seen: dict, apart: Difference) -> str:
    note = f" ({case.note})" if case.note else ""
    if "error" in seen:
        error = seen["error"]
        text = f": {error['message']}" if error["message"] else ""
        if "error" in expected:
            return f"Expected {expected['error']['type']}{note}; it raised {error['type']}{text}."
        if error["type"] == "NotRun":
            return "It ended before all cases had run."
        return f"It raised {error['type']}{text}{note}."
    if "error" in expected:
        return f"Expected {expected['error']['type']}{note}; it returned a result instead."
    if exercise.explain and alike(expected["result"], seen["result"]):
        return exercise.explain(case, expected["result"], seen["result"])
    return f"At {apart.where}: expected {apart.expected}, got {apart.got}{note}."
