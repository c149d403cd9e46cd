"""Compare an answer with the expected one: types first, then values, and say where they part."""

import math

import torch
from torch import Tensor

from pruneedu.course.exercises import Difference
from pruneedu.course.plain import ModelState, Tool

RELATIVE, ABSOLUTE = 1e-4, 1e-6


def difference(expected, got, where: str = "the result") -> Difference | None:
    """Return the first difference between two plain values, or None when they agree.

    Numbers agree within 1e-4 relative or 1e-6 absolute; nan agrees with nan; a list may stand for
    a tuple, an int for a float and one floating type for another, but a bool is no number.

    Args:
        expected: the right value; only what it has is looked at.
        got: the value to judge, as `unpack` gives it.
        where: what the two are, for the words of the difference.

    >>> difference([0.5, 1.0], [0.5, 2.0])
    Difference(where='the result[1]', expected='1', got='2')
    """
    if not _same_kind(expected, got):
        return Difference(where, _kind(expected), _kind(got))
    if isinstance(expected, ModelState):
        return difference(expected.state, got.state, where)
    if isinstance(expected, Tensor):
        return _tensor_difference(expected, got, where)
    if isinstance(expected, dict):
        return _dict_difference(expected, got, where)
    if isinstance(expected, list | tuple):
        return _list_difference(expected, got, where)
    if isinstance(expected, Tool):
        agree = expected.name == got.name
    elif isinstance(expected, float):
        close = math.isclose(expected, got, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
        agree = close or (math.isnan(expected) and math.isnan(got))
    else:
        agree = expected == got
    return None if agree else Difference(where, _short(expected), _short(got))


def alike(expected, got) -> bool:
    """Whether two plain values have the same form: kinds, keys, lengths, shapes and dtypes.

    >>> alike({"a": torch.zeros(2)}, {"a": torch.ones(2)}), alike([1.0], None)
    (True, False)
    """
    if not _same_kind(expected, got):
        return False
    if isinstance(expected, Tensor):
        return expected.shape == got.shape and expected.dtype == got.dtype
    if isinstance(expected, dict):
        return expected.keys() == got.keys() and all(alike(expected[k], got[k]) for k in expected)
    if isinstance(expected, list | tuple):
        return len(expected) == len(got) and all(map(alike, expected, got))
    return True


def _same_kind(expected, got) -> bool:
    if isinstance(expected, float):
        return type(got) in (int, float)
    if isinstance(expected, list | tuple):
        return isinstance(got, list | tuple)
    return type(expected) is type(got)


def _tensor_difference(expected: Tensor, got: Tensor, where: str) -> Difference | None:
    if expected.shape != got.shape:
        return Difference(where, f"shape {tuple(expected.shape)}", f"shape {tuple(got.shape)}")
    if expected.dtype != got.dtype and not (
        expected.is_floating_point() and got.is_floating_point()
    ):
        return Difference(where, f"a tensor of {expected.dtype}", f"a tensor of {got.dtype}")
    if expected.is_floating_point():
        agree = torch.isclose(got.double(), expected.double(), RELATIVE, ABSOLUTE, equal_nan=True)
    else:
        agree = expected == got
    if agree.all():
        return None
    index = tuple(int(i) for i in (~agree).nonzero()[0])
    place = where + (str(list(index)) if index else "")
    return Difference(place, _short(expected[index].item()), _short(got[index].item()))


def _list_difference(expected: list | tuple, got: list | tuple, where: str) -> Difference | None:
    if len(expected) != len(got):
        return Difference(where, f"{len(expected)} items", f"{len(got)} items")
    pairs = enumerate(zip(expected, got, strict=True))
    return _first(difference(e, g, f"{where}[{i}]") for i, (e, g) in pairs)


def _dict_difference(expected: dict, got: dict, where: str) -> Difference | None:
    if expected.keys() != got.keys():
        return Difference(where, f"the keys {_keys(expected)}", f"the keys {_keys(got)}")
    return _first(difference(expected[key], got[key], f"{where}[{key!r}]") for key in expected)


def _keys(value: dict) -> str:
    return _short(list(value), 120)


def _first(differences) -> Difference | None:
    return next((found for found in differences if found is not None), None)


def _kind(value) -> str:
    if isinstance(value, ModelState):
        return "a model"
    if value is None or isinstance(value, str):
        return f"{value!r:.60}"
    return f"a value of type {type(value).__name__}"


def _short(value, most: int = 80) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"
