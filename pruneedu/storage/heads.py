"""What kind of thing a tensor is stored as, in one number and what must follow it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pruneedu.storage.errors import DamagedFile
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
from pruneedu.storage.plain_data import Reader, number_bytes, signed, unsigned

# The number of a head is read digit by digit; these are how many values each digit has. Frequent
# choices have the digit 0, so that the number of most tensors fits a byte.
_KINDS = (Plain, Quantized, Shared)
_PLAIN = (len(DTYPES), 2)  # dtype, whether zeros are left out
_QUANTIZED = (4, 2, 3, 3, len(FLOATS))  # integers, scale written out, zero point, rank, scale
_SHARED = (len(INTEGERS), len(FLOATS), 2)  # labels, codebook, vectors
_FARTHEST = 8000  # 2^(k/8) stays a finite double.
_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Head(NamedTuple):
    """The kind of a tensor, its choices, and the numbers that follow.

    Attributes:
        kind: `Plain`, `Quantized` or `Shared`.
        digits: the choices, as listed above.
        sizes: shape of the scale or the codebook.
        exponent: k where the scale is 2^(k/8).
    """

    kind: type
    digits: tuple[int, ...]
    sizes: tuple[int, ...] = ()
    exponent: int = 0


def head_of(part: Part) -> Head:
    """Return the head of what is to be written.

    >>> part = Quantized(torch.zeros(2, 3).char(), torch.tensor(0.5), torch.tensor(0).int())
    >>> head_of(part).exponent, head_bytes(head_of(part)).hex()
    (-8, '010f')
    """
    if isinstance(part, Plain):
        size, nonzero = part.values.element_size(), int(np.count_nonzero(words(part.values)))
        sparse = nonzero * size + part.values.numel() / 8 < part.values.numel() * size
        return Head(Plain, (DTYPES.index(part.values.dtype), int(sparse)))
    if isinstance(part, Quantized):
        exponent = _exponent(part.scale)
        zero = 2 if part.zero_point.is_floating_point() else int(bool(part.zero_point.any()))
        digits = (
            *(INTEGERS.index(part.integers.dtype), int(exponent is None), zero),
            *(part.scale.ndim, FLOATS.index(part.scale.dtype)),
        )
        return Head(Quantized, digits, tuple(part.scale.shape), exponent or 0)
    codebook = part.codebook
    digits = INTEGERS.index(part.labels.dtype), FLOATS.index(codebook.dtype), codebook.ndim // 2
    return Head(Shared, digits, tuple(codebook.shape))


def head_bytes(head: Head) -> bytes:
    """Return a head as bytes."""
    number = 0
    for digit, base in reversed(list(zip(head.digits, _bases(head.kind), strict=True))):
        number = number * base + digit
    written = number_bytes(number * len(_KINDS) + _KINDS.index(head.kind))
    written += b"".join(map(number_bytes, head.sizes))
    if head.kind is Quantized and not head.digits[1]:
        written += number_bytes(unsigned(head.exponent))
    return written


def read_head(read: Reader) -> Head:
    """Read what `head_bytes` has written, or raise DamagedFile."""
    number, kind = divmod(read.number(), len(_KINDS))
    kind, digits, exponent = _KINDS[kind], [], 0
    for base in _bases(kind):
        number, digit = divmod(number, base)
        digits.append(digit)
    if number:
        raise DamagedFile(f"a tensor is of the unknown kind {number}")
    ranks = {Plain: 0, Quantized: digits[-2], Shared: 3 if digits[-1] else 1}
    sizes = tuple(read.number() for _ in range(ranks[kind]))
    if kind is Quantized and not digits[1]:
        exponent = signed(read.number())
        if abs(exponent) > _FARTHEST or sizes:
            raise DamagedFile(f"a scale is said to be 2^({exponent}/8), of shape {sizes}")
    return Head(kind, tuple(digits), sizes, exponent)


def words(tensor: Tensor) -> np.ndarray:
    """Return the bits of each entry as one integer [entries], so that nothing is rounded.

    >>> hex(words(torch.tensor([1.0]))[0])
    '0x3f800000'
    """
    entries = tensor.detach().cpu().contiguous().reshape(-1)
    return entries.view(_WORDS[tensor.element_size()]).numpy()


def to_bytes(entries: np.ndarray) -> bytes:
    """Return `words` as bytes, the low byte first on every machine."""
    return entries.astype(entries.dtype.newbyteorder("<")).tobytes()


def read_words(read: Reader, count: int, dtype: torch.dtype) -> np.ndarray:
    """Read entries of a dtype as `words`."""
    word = np.dtype(f"i{dtype.itemsize}" if dtype.itemsize > 1 else "u1")
    data = read.take(count * dtype.itemsize)
    return np.frombuffer(data, word.newbyteorder("<")).astype(word)


def from_words(entries: np.ndarray, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """Return the tensor that `words` came from, or raise DamagedFile."""
    if dtype == torch.bool and (entries > 1).any():
        raise DamagedFile("a truth value is neither 0 nor 1")
    return torch.from_numpy(entries).view(dtype).reshape(shape)


def _bases(kind: type) -> tuple[int, ...]:
    return {Plain: _PLAIN, Quantized: _QUANTIZED, Shared: _SHARED}[kind]


def _exponent(scale: Tensor) -> int | None:
    """Return k where a single scale is exactly 2^(k/8) in its dtype, else None."""
    if scale.ndim:
        return None
    k = round(8 * float(scale.double().log2()))
    if abs(k) > _FARTHEST:
        return None
    return k if torch.tensor(eighth_power(k), dtype=scale.dtype) == scale else None
