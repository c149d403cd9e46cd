"""What a compressed file holds: for each tensor, the plain data that stand for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isqrt, ldexp, prod
from typing import Any

import torch
from torch import Tensor

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
INTEGERS = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)
DTYPES = (*FLOATS, *INTEGERS, torch.bool)


@dataclass(frozen=True, eq=False)
class Plain:
    """A tensor as it is.

    Attributes:
        values: any shape; floats, integers or truth values.

    Raises:
        TypeError: no tensor, or another dtype. ValueError: NaN or infinity.

    >>> Plain(torch.tensor([1.0, float("nan")]))
    Traceback (most recent call last):
    ValueError: the values hold NaN or infinity: a file holds finite numbers only
    """

    values: Tensor

    def __post_init__(self):
        """Refuse what a file cannot hold."""
        _check(self.values, "values", DTYPES)

    def dense(self) -> Tensor:
        """Return the tensor."""
        return self.values


@dataclass(frozen=True, eq=False)
class Quantized:
    """Integers on a grid: w = scale · (q - zero_point).

    Attributes:
        integers: q, in the shape of the tensor; int8, uint8, int16 or int32.
        scale: floats; [] for the whole tensor, [out] for one each channel, [out, groups] for one
            each group. A scale of `eighth_power(k)` takes a byte or two in a file.
        zero_point: the q that stands for 0, in the shape of `scale`; int32 or the scale's dtype.

    Raises:
        TypeError, ValueError: other dtypes, shapes that do not fit, a scale that is not positive,
        or numbers that are not finite.

    >>> Quantized(torch.tensor([-1, 0, 3]).char(), torch.tensor(0.5), torch.tensor(0).int()).dense()
    tensor([-0.5000,  0.0000,  1.5000])
    """

    integers: Tensor
    scale: Tensor
    zero_point: Tensor

    def __post_init__(self):
        """Refuse what is no grid."""
        _check(self.integers, "integers", INTEGERS[:4])
        _check(self.scale, "scale", FLOATS)
        _check(self.zero_point, "zero point", (torch.int32, self.scale.dtype))
        n, rows = self.integers.numel(), self.scale.numel()
        if self.scale.shape != self.zero_point.shape or not rows or n % rows or self.scale.ndim > 2:
            raise ValueError(
                f"the scale has shape {tuple(self.scale.shape)} and the zero point "
                f"{tuple(self.zero_point.shape)}, which do not part {n} integers into rows: "
                "give both the shape (), (out,) or (out, groups)"
            )
        if not (self.scale > 0).all() or not self.dense().isfinite().all():
            raise ValueError(
                f"the scale runs from {self.scale.min()} to {self.scale.max()}: a step is "
                "positive, and the numbers that it makes are finite"
            )

    def dense(self) -> Tensor:
        """Return the tensor, in the dtype of the scale."""
        rows = self.integers.reshape(self.scale.numel(), -1).to(self.scale.dtype)
        steps, zeros = self.scale.reshape(-1, 1), self.zero_point.reshape(-1, 1)
        return (steps * (rows - zeros)).reshape(self.integers.shape)


@dataclass(frozen=True, eq=False)
class Shared:
    """Labels, and the codebook that they look up.

    Attributes:
        labels: integers from 0 to k - 1.
        codebook: [k] floats, one for each label; or [blocks, k, width], vectors for labels of the
            shape [rows, blocks].
        shape: of the tensor; that of the labels where the codebook is [k].

    Raises:
        TypeError, ValueError: other dtypes or shapes, a label without an entry, NaN or infinity.

    >>> Shared(torch.tensor([0, 2, 2, 1]), torch.tensor([0.0, -4.0, 1.25])).dense()
    tensor([ 0.0000,  1.2500,  1.2500, -4.0000])
    """

    labels: Tensor
    codebook: Tensor
    shape: tuple[int, ...] | None = None

    def __post_init__(self):
        """Refuse what looks nothing up, and set the shape."""
        _check(self.labels, "labels", INTEGERS)
        _check(self.codebook, "codebook", FLOATS)
        labels, book = tuple(self.labels.shape), tuple(self.codebook.shape)
        object.__setattr__(self, "shape", labels if self.shape is None else tuple(self.shape))
        single = len(book) == 1 and self.shape == labels
        vectors = len(book) == 3 and min(book) and len(labels) == 2 and labels[1] == book[0]
        if not single and not (vectors and prod(self.shape) == labels[0] * book[0] * book[2]):
            raise ValueError(
                f"a codebook of shape {book} and labels of shape {labels} make no tensor of shape "
                f"{self.shape}: give [k], or [blocks, k, width] for labels [rows, blocks]"
            )
        k = book[len(book) // 2]
        # Compared as Python's integers: 256 does not fit into uint8.
        ends = [int(end) for end in self.labels.aminmax()] if self.labels.numel() else []
        if any(not 0 <= end < k for end in ends):
            raise ValueError(
                f"the labels run from {ends[0]} to {ends[1]}, but the codebook "
                f"has entries 0 to {k - 1}"
            )

    def dense(self) -> Tensor:
        """Return the tensor, in the dtype of the codebook."""
        labels = self.labels.long()
        if self.codebook.ndim == 1:
            return self.codebook[labels]
        return self.codebook[torch.arange(len(self.codebook)), labels].reshape(self.shape)


Part = Plain | Quantized | Shared


@dataclass(frozen=True, eq=False)
class Contents:
    """All that a compressed file holds.

    Attributes:
        tensors: name -> `Plain`, `Quantized` or `Shared`, in the order of the state dict.
        architecture: name and configuration for `models.build`, or None.
        plan: plain data for a rewrite that the fresh network needs before the tensors fit, such as
            the ranks of `factorize`.

    Raises:
        TypeError: a tensor that is none of the three.
    """

    tensors: dict[str, Part]
    architecture: tuple[str, dict[str, Any]] | None = None
    plan: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        """Refuse what has no kind."""
        for name, part in self.tensors.items():
            if not isinstance(part, Part):
                raise TypeError(
                    f"the part {name!r} is a {type(part).__name__}: give it as a Plain, a "
                    "Quantized or a Shared, such as Plain(tensor)"
                )


def eighth_power(k: int) -> float:
    """Return 2^(k/8), the same double on every machine.

    A grid that is as coarse as it may be loses little by snapping its step to one of these, and
    k takes one byte where a float takes four.

    >>> eighth_power(8), eighth_power(-4)
    (2.0, 0.7071067811865476)
    """
    whole, eighths = divmod(k, 8)
    root = isqrt(isqrt(isqrt(1 << 8 * 60 + eighths)))  # 2^(60 + eighths / 8)
    return ldexp(root, whole - 60)


def _check(tensor: Tensor, what: str, dtypes: tuple[torch.dtype, ...]) -> None:
    """Raise unless this is a tensor of one of these dtypes, and finite."""
    if not isinstance(tensor, Tensor) or tensor.dtype not in dtypes:
        found = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        raise TypeError(f"the {what} are {found}: give a tensor of {', '.join(map(str, dtypes))}")
    if tensor.is_floating_point() and not tensor.isfinite().all():
        raise ValueError(f"the {what} hold NaN or infinity: a file holds finite numbers only")
