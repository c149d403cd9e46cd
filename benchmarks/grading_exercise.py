"""Lesson 02's `keep_top` for graders that know nothing of the course: its cases as plain asserts.

Inputs and expected results are written out as literals, so a rival imports PyTorch and no more.
"""

import torch

from pruneedu.course.exercises import find
from pruneedu.course.judging import key

SEED = 20
EXERCISE = find("keep_top")[1]

RIGHT = """
import torch


def keep_top(scores, sparsity, scope="global", masks=None):
    shares = sparsity if isinstance(sparsity, dict) else dict.fromkeys(scores, sparsity)
    if scope not in ("global", "layer") or not all(0 <= s <= 1 for s in shares.values()):
        raise ValueError("the sparsity lies in [0, 1], and the scope is 'global' or 'layer'")
    if not all(score.isfinite().all() for score in scores.values()):
        raise ValueError("the scores must be finite")
    if masks is not None:
        scores = {n: s.masked_fill(~masks[n], -torch.inf) for n, s in scores.items()}
    if scope == "layer" or isinstance(sparsity, dict):
        return {n: kept_of({n: s}, shares[n])[n] for n, s in scores.items()}
    return kept_of(scores, sparsity)


def kept_of(scores, sparsity):
    flat = torch.cat([score.flatten() for score in scores.values()])
    order = flat.argsort(descending=True, stable=True)
    keep = torch.zeros(len(flat), dtype=torch.bool)
    keep[order[: len(flat) - round(sparsity * len(flat))]] = True
    parts = keep.split([score.numel() for score in scores.values()])
    return {n: part.view(scores[n].shape) for n, part in zip(scores, parts)}
"""
ROUNDED_DOWN = RIGHT.replace("round(", "int(")
UNSOLVED = """
def keep_top(scores, sparsity, scope="global", masks=None):
    raise NotImplementedError("keep_top: write your answer here")
"""
ANSWERS = (RIGHT, RIGHT, ROUNDED_DOWN, UNSOLVED)  # a class is these in turn

_PRELUDE = """
import torch
from torch import tensor

nan = float("nan")


def plain(value):
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return (str(value.dtype), value.tolist()) if isinstance(value, torch.Tensor) else value


def outcome(function, args, kwargs):
    try:
        return plain(function(*args, **kwargs))
    except Exception as error:
        return type(error).__name__
"""


def points() -> dict[str, int]:
    """Return the points of each test: one for each part of the exercise, one for its property.

    >>> sum(points().values()) == EXERCISE.points
    True
    """
    return EXERCISE.parts | {item.text: item.weight for item in EXERCISE.properties}


def test_body(name: str) -> str:
    """Return the source of one test, which calls `keep_top` and asserts."""
    answers = key(EXERCISE, SEED)
    rows = [
        (case.args, dict(case.kwargs), _plain(expected))
        for case, expected in zip(answers.cases, answers.expected, strict=True)
        if case.part == name or name not in EXERCISE.parts
    ]
    lines = ",\n".join(f"    {row!r}" for row in rows)
    asserted = _OF_A_PART if name in EXERCISE.parts else _OF_THE_PROPERTY
    return f"{_PRELUDE}\n\nfor args, kwargs, expected in [\n{lines},\n]:\n{asserted}"


_OF_A_PART = "    assert outcome(keep_top, args, kwargs) == expected\n"
_OF_THE_PROPERTY = """\
    before = str([plain(value) for value in (*args, *kwargs.values())])
    assert outcome(keep_top, args, kwargs) != "NotImplementedError"
    assert str([plain(value) for value in (*args, *kwargs.values())]) == before
"""


def _plain(expected: dict) -> object:
    return expected["error"]["type"] if "error" in expected else _listed(expected["result"])


def _listed(value: object) -> object:
    """Do what `plain` in the prelude does."""
    if isinstance(value, dict):
        return {name: _listed(item) for name, item in value.items()}
    return (str(value.dtype), value.tolist()) if isinstance(value, torch.Tensor) else value
