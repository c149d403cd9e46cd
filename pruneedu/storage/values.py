"""The integers at the positions that are not zero: signs and sizes, coded with their contexts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pruneedu.storage.errors import DamagedFile
from pruneedu.storage.mixing import mixer
from pruneedu.storage.positions import Code

_LARGEST = 34  # bits of a size: the difference of two 32-bit integers fits.
_TREE = 3  # Bits below the top one that have contexts of their own for each value.


class _Coders(NamedTuple):
    sign: Callable
    longer: Callable
    digit: Callable


def coded_values(code: Code, integers: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Code the integers of a matrix where the mask is True; none of them is 0.

    A size is coded as its number of binary digits, in unary, then the digits below the top one
    (Elias' gamma code), each bit at a chance learned so far. The contexts of a sign are the signs
    in its column and row and that of its neighbour; those of a size are its sign and the sizes
    there.

    Args:
        code: the encoder's or the decoder's, from `arithmetic`.
        integers: [rows, columns]; the decoder gives any of that shape.
        mask: [rows, columns] truth values, known to both sides.

    Returns:
        The integers [rows, columns], 0 outside the mask.

    Raises:
        DamagedFile: a size of more than 33 binary digits.

    Source: Elias, "Universal codeword sets and representations of the integers", 1975.

    >>> from pruneedu.storage.arithmetic import encoder
    >>> write = encoder()
    >>> passed = coded_values(write.code, np.full((10, 10), -3), np.ones((10, 10), dtype=bool))
    >>> bool((passed == -3).all()), len(write.finish())
    (True, 4)
    """
    coders = _Coders(
        mixer(code, 1 + 3 * 7, weights=[0.4, 0.3, 0.3, 0.3]),
        mixer(code, 32 * _LARGEST, weights=[0.4, 0.2, 0.2, 0.2], chance=20000),
        mixer(code, (2 << _TREE) * _LARGEST, weights=[1.0]),
    )
    passed = np.zeros(integers.shape, dtype=np.int64)
    signs, sizes = [0] * integers.shape[1], [0] * integers.shape[1]
    for i, row in enumerate(integers.tolist()):
        row_sign = row_size = before = 0
        for j in np.flatnonzero(mask[i]).tolist():
            value = _coded_value(
                coders, row[j], (before, signs[j], row_sign), (abs(before), sizes[j], row_size)
            )
            passed[i, j] = before = value
            signs[j], row_sign = signs[j] + _sign(value), row_sign + _sign(value)
            # Sizes are remembered as a mean in which the latest counts half.
            sizes[j], row_size = (sizes[j] + abs(value) + 1) // 2, (row_size + abs(value) + 1) // 2
    return passed


def _coded_value(
    coders: _Coders, value: int, signs: tuple[int, ...], sizes: tuple[int, ...]
) -> int:
    """Code one integer, given what the neighbour, the column and the row suggest."""
    places = [1 + 7 * k + 3 + max(-3, min(3, sign)) for k, sign in enumerate(signs)]
    negative = coders.sign([0, *places], int(value < 0))

    size, digits = abs(value), 1
    # Where negative sizes differ from positive ones, the first context tells.
    places = [negative, *(8 * k + min(7, near) for k, near in enumerate(sizes, 1))]
    while coders.longer([32 * digits + k for k in places], int(size.bit_length() > digits)):
        digits += 1
        if digits == _LARGEST:
            raise DamagedFile(f"a stored integer has more than {_LARGEST - 1} binary digits")

    passed = 1
    for place in reversed(range(digits - 1)):
        # The digits so far tell large values apart, up to a point; then only the place counts.
        so_far = passed if passed < 1 << _TREE else 0
        context = ((digits * 2) << _TREE) + (so_far or (1 << _TREE) + min(place, (1 << _TREE) - 1))
        passed = 2 * passed + coders.digit([context], size >> place & 1)
    return -passed if negative else passed


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
