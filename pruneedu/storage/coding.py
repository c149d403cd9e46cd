"""One tensor through a line: integers, counted from the one that stands for zero, and floats."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pruneedu.storage.errors import DamagedFile
from pruneedu.storage.heads import Head, from_words, head_of, read_words, to_bytes, words
from pruneedu.storage.layout import surroundings
from pruneedu.storage.lines import Line
from pruneedu.storage.parts import (
    DTYPES,
    FLOATS,
    INTEGERS,
    Part,
    Plain,
    Quantized,
    Shared,
    eighth_power,
)
from pruneedu.storage.plain_data import Reader

Live = np.ndarray | None  # [units], which units of the last layer have any weight
Shape = tuple[int, ...]


class Cost(NamedTuple):
    """What a tensor took, in bits.

    Attributes:
        positions: where its entries are not zero.
        values: integers and floats at these positions.
        codebooks: codebook, scales and zero points.
    """

    positions: int
    values: int
    codebooks: int


def write_part(part: Part, line: Line, floats: bytearray, live: Live) -> Live:
    """Write a tensor: its integers to the line, its floats to `floats`.

    Returns:
        What the next tensor may know of this one.
    """
    if isinstance(part, Plain):
        entries = words(part.values).reshape(part.values.shape)
        if not head_of(part).digits[1]:
            floats.extend(to_bytes(entries))
            return _live(entries, live)
        floats.extend(to_bytes(entries[entries != 0]))
        return _passed((entries != 0).astype(np.int64), line, live)[1]
    if isinstance(part, Quantized):
        scale_follows, zero_follows = head_of(part).digits[1:3]
        floats.extend(to_bytes(words(part.scale)) if scale_follows else b"")
        floats.extend(to_bytes(words(part.zero_point)) if zero_follows else b"")
        integers = part.integers.cpu().numpy().astype(np.int64)
        return _passed(integers - _centres(part.zero_point, integers.shape), line, live)[1]
    floats.extend(to_bytes(words(part.codebook)))
    order, zero = _order(part.codebook)
    return _passed(np.argsort(order)[part.labels.cpu().numpy()] - zero, line, live)[1]


def read_part(
    head: Head, shape: Shape, line: Line, floats: Reader, live: Live
) -> tuple[Part, Cost, Live]:
    """Read what `write_part` has written.

    Returns:
        The tensor, what it took, and what the next one may know of it.

    Raises:
        DamagedFile: what was read makes no tensor of this head and shape.
    """
    spent, left = line.spent(), floats.left()
    try:
        if head.kind is Plain:
            part, live = _read_plain(head, shape, line, floats, live)
        elif head.kind is Quantized:
            part, live = _read_quantized(head, shape, line, floats, live)
        else:
            part, live = _read_shared(head, shape, line, floats, live)
    except (ValueError, TypeError, RuntimeError) as error:  # What the records and torch refuse.
        raise DamagedFile(str(error)) from error
    positions, values = (after - before for after, before in zip(line.spent(), spent, strict=True))
    in_floats = 8 * (left - floats.left())
    if head.kind is Plain:
        return part, Cost(positions, values + in_floats, 0), live
    return part, Cost(positions, values, in_floats), live


def _read_plain(head: Head, shape: Shape, line: Line, floats: Reader, live: Live):
    dtype = DTYPES[head.digits[0]]
    if not head.digits[1]:
        entries = read_words(floats, prod(shape), dtype)
        return Plain(from_words(entries, dtype, shape)), _live(entries.reshape(shape), live)
    mask, live = _passed(np.zeros(shape, dtype=np.int64), line, live)
    kept = read_words(floats, int(np.count_nonzero(mask)), dtype)
    entries = np.zeros(shape, dtype=kept.dtype)
    entries[mask != 0] = kept
    return Plain(from_words(entries.reshape(-1), dtype, shape)), live


def _read_quantized(head: Head, shape: Shape, line: Line, floats: Reader, live: Live):
    integer, scale_follows, zero, _, scale_dtype = head.digits
    dtype, zero_dtype = FLOATS[scale_dtype], FLOATS[scale_dtype] if zero == 2 else torch.int32
    if scale_follows:
        scale = from_words(read_words(floats, prod(head.sizes), dtype), dtype, head.sizes)
    else:
        scale = torch.tensor(eighth_power(head.exponent), dtype=dtype)
    if zero:
        entries = read_words(floats, scale.numel(), zero_dtype)
        zero_point = from_words(entries, zero_dtype, head.sizes)
    else:
        zero_point = torch.zeros(head.sizes, dtype=zero_dtype)
    if not scale.numel() or prod(shape) % scale.numel() or not zero_point.isfinite().all():
        raise DamagedFile(f"scales of shape {head.sizes} fit no tensor of shape {shape}")
    passed, live = _passed(np.zeros(shape, dtype=np.int64), line, live)
    integers = _narrow(passed + _centres(zero_point, shape), INTEGERS[integer])
    return Quantized(integers, scale, zero_point), live


def _read_shared(head: Head, shape: Shape, line: Line, floats: Reader, live: Live):
    dtype = FLOATS[head.digits[1]]
    codebook = from_words(read_words(floats, prod(head.sizes), dtype), dtype, head.sizes)
    labels = shape
    if vectors := head.digits[2]:
        blocks, _, width = head.sizes
        if not min(head.sizes) or prod(shape) % (blocks * width):
            raise DamagedFile(f"vectors of shape {head.sizes} make no tensor of shape {shape}")
        labels = prod(shape) // (blocks * width), blocks
    order, zero = _order(codebook)
    passed, live = _passed(np.zeros(labels, dtype=np.int64), line, live)
    ranks = passed + zero
    if ranks.size and not 0 <= ranks.min() <= ranks.max() < len(order):
        raise DamagedFile(f"a label has no entry in a codebook of {len(order)}")
    read = _narrow(order[ranks], INTEGERS[head.digits[0]])
    return Shared(read, codebook, shape if vectors else None), live


def _passed(integers: np.ndarray, line: Line, live: Live) -> tuple[np.ndarray, Live]:
    """Pass integers of any shape through the line, seen as a matrix with a row for each unit."""
    seen = surroundings(integers.shape, live)
    passed = line.passed(integers.reshape(seen.rows, seen.columns), seen.width, seen.hints)
    passed = passed.reshape(integers.shape)
    return passed, _live(passed, live)


def _live(entries: np.ndarray, before: Live) -> Live:
    """Return which units have any weight; a bias has none and leaves what was known."""
    if entries.ndim < 2:
        return before
    return (entries != 0).reshape(len(entries), prod(entries.shape[1:])).any(1)


def _centres(zero_point: Tensor, shape: Shape) -> np.ndarray:
    """Return the integer nearest to zero for each entry of a tensor of this shape."""
    nearest = np.clip(np.rint(zero_point.double().cpu().numpy()), -(2.0**31), 2.0**31)
    rows = nearest.astype(np.int64).reshape(-1, 1)
    return np.broadcast_to(rows, (len(rows), prod(shape) // len(rows))).reshape(shape)


def _order(codebook: Tensor) -> tuple[np.ndarray, int]:
    """Return the labels in rising order of their numbers, and the place of 0 among them.

    Labels of vectors have no order, and without a 0 the first label stands for it.
    """
    if codebook.ndim > 1:
        return np.arange(codebook.shape[1]), 0
    numbers = codebook.detach().double().cpu().numpy()
    order = np.argsort(numbers, kind="stable")
    zeros = np.flatnonzero(numbers[order] == 0)
    return order, int(zeros[0]) if len(zeros) else 0


def _narrow(integers: np.ndarray, dtype: torch.dtype) -> Tensor:
    """Return integers as a tensor of a dtype, or raise DamagedFile where one does not fit."""
    limits = torch.iinfo(dtype)
    if integers.size and not limits.min <= integers.min() <= integers.max() <= limits.max:
        raise DamagedFile(f"an integer from {integers.min()} to {integers.max()} is no {dtype}")
    return torch.from_numpy(np.array(integers)).to(dtype)
