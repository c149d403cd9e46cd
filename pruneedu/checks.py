"""Two checks at the boundary, for all that computes on weights: tensors of floats, and counts."""

from __future__ import annotations

from torch import Tensor


def check_floats(values: Tensor, what: str, axes: int = 0) -> None:
    """Raise unless `values` is a tensor of finite floats with at least so many axes.

    Args:
        values: to be checked.
        what: its name in the error, such as "the weight".
        axes: the least number of axes. With one or more, it is an error too if one is empty.

    >>> import torch
    >>> check_floats(torch.tensor([1, 2]), "the weight")
    Traceback (most recent call last):
    TypeError: expected a tensor of floats for the weight, got torch.int64: convert it with .float()
    >>> check_floats(torch.tensor([1.0, 2.0]), "the weight", axes=2)
    Traceback (most recent call last):
    ValueError: the shape of the weight is (2,): give 2 or more axes, none of them empty
    """
    if not isinstance(values, Tensor):
        raise TypeError(
            f"expected a tensor of floats for {what}, got {type(values).__name__}: make one "
            "with torch.tensor"
        )
    if not values.is_floating_point():
        raise TypeError(
            f"expected a tensor of floats for {what}, got {values.dtype}: convert it with .float()"
        )
    if axes and (values.ndim < axes or not values.numel()):
        raise ValueError(
            f"the shape of {what} is {tuple(values.shape)}: give {axes} or more axes, none of "
            "them empty"
        )
    if not values.isfinite().all():
        raise ValueError(f"NaN or infinity in {what}: find where it began")


def check_count(value: int, name: str, least: int = 1, most: int | None = None) -> None:
    """Raise unless `value` is a whole number from `least` to `most`.

    >>> check_count(2.5, "steps")
    Traceback (most recent call last):
    ValueError: steps is 2.5: give a whole number of at least 1
    """
    if type(value) is not int or value < least or (most is not None and value > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is {value!r}: give a whole number {bounds}")
