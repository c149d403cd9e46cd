"""Which entries of a matrix are not zero, coded bit by bit from what is around each.

Survivors of pruning come in crowds: some rows, some columns, some corners of an image hold most of
them. Each bit's chance is mixed from five such contexts, learned on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil

import numpy as np

from pruneedu.storage.errors import DamagedFile
from pruneedu.storage.mixing import FARTHEST, chances, log_odds, mixer

Code = Callable[[int, int], int]

_LEVELS = 64  # of the density that is told before the bits, equally spaced in log-odds
_NEAR, _AROUND = 64, 128  # contexts of the two kinds


def coded_number(code: Code, number: int, bits: int) -> int:
    """Code a number below 2^bits whose values are equally likely, the top bit first.

    >>> from pruneedu.storage.arithmetic import decoder
    >>> coded_number(decoder(bytes([0b01100000])).code, 0, bits=3)  # a 1 is the lower half
    4
    """
    passed = 0
    for place in reversed(range(bits)):
        passed = 2 * passed + code(32768, number >> place & 1)
    return passed


def coded_flags(code: Code, flags: Sequence[int], hints: Sequence[int]) -> list[int]:
    """Code truth values of which neighbours tend to be alike.

    Args:
        code: the encoder's or the decoder's.
        flags: 0 or 1 each; what the decoder is given does not matter, but its length.
        hints: for each flag 0 or 1, something known to the reader that may go with it.

    Returns:
        The flags.

    >>> from pruneedu.storage.arithmetic import encoder
    >>> write = encoder()
    >>> _ = coded_flags(write.code, [1] * 50 + [0] * 250, hints=[0] * 300)
    >>> len(write.finish())
    4
    """
    coded, passed, last = mixer(code, contexts=4, weights=[1.0]), [], 0
    for flag, hint in zip(flags, hints, strict=True):
        last = coded([2 * hint + last], flag)
        passed.append(last)
    return passed


def coded_mask(code: Code, mask: np.ndarray, width: int, hints: np.ndarray) -> np.ndarray:
    """Code the positions of a matrix: first its rows and columns that hold any, then each entry.

    Args:
        code: the encoder's or the decoder's.
        mask: [rows, columns] truth values, True = not zero; the decoder gives any of that shape.
        width: of the image that a row shows, where neighbours above and below matter; else 1.
        hints: [columns], whether the layer before has anything for this column.

    Returns:
        The mask [rows, columns].

    Raises:
        DamagedFile: a row or a column that was announced holds nothing.

    >>> from pruneedu.storage.arithmetic import encoder
    >>> write, mask = encoder(), np.zeros((300, 784), dtype=bool)
    >>> mask[10:20, 300:330] = True
    >>> _ = coded_mask(write.code, mask, width=28, hints=np.zeros(784, dtype=int))
    >>> len(write.finish())  # Where 300 of 235,200 entries are, by no rule, takes 414 bytes.
    8
    """
    rows = np.flatnonzero(coded_flags(code, mask.any(1).tolist(), [0] * len(mask)))
    columns = np.flatnonzero(coded_flags(code, mask.any(0).tolist(), hints.tolist()))
    passed = np.zeros(mask.shape, dtype=bool)
    if bool(len(rows)) != bool(len(columns)):
        raise DamagedFile(f"{len(rows)} rows and {len(columns)} columns are said to hold entries")
    if len(rows) == 1 or len(columns) == 1:  # Then each that was announced holds its one entry.
        passed[np.ix_(rows, columns)] = True
    elif len(rows):
        inner = mask[np.ix_(rows, columns)]
        passed[rows] = _coded_entries(code, inner, columns, mask.shape[1], width)
        if not passed[:, columns].any(0).all():
            raise DamagedFile("a column that is said to hold entries is empty")
    return passed


def _coded_entries(
    code: Code, inner: np.ndarray, columns: np.ndarray, entries: int, width: int
) -> np.ndarray:
    """Code the entries of the live rows and columns, and return the live rows in full.

    The contexts of an entry are the layer, its row, its column, its neighbours that came before it
    in its own row, and how much the columns around it held in the rows before.
    """
    density = _coded_density(code, inner.mean())
    coded = mixer(
        code,
        1 + len(inner) + len(columns) + _NEAR + _AROUND,
        weights=[0.0, 0.1, 0.4, 0.4, 0.3],
        chance=density,
    )
    near = 1 + len(inner) + len(columns)
    pad = 2 * width + 2  # So that neighbours of the first and last columns exist, as zeros.
    held = [0] * (entries + 2 * pad)
    places = (columns + pad).tolist()
    passed = np.zeros((len(inner), entries), dtype=bool)
    for i, bits in enumerate(inner.tolist()):
        row = [0] * len(held)
        rows_before = min(i.bit_length(), 7)
        for j, place in enumerate(places):
            around = near + _NEAR + 8 * _around(held, place, width) + rows_before
            contexts = (0, 1 + i, 1 + len(inner) + j, near + _near(row, place, width), around)
            row[place] = coded(contexts, bits[j])
        if not any(row):
            raise DamagedFile("a row that is said to hold entries is empty")
        passed[i] = row[pad : pad + entries]
        held = [count + bit for count, bit in zip(held, row, strict=True)]
    return passed


def _near(row: list[int], place: int, width: int) -> int:
    """Return a number below 64 for the neighbours that came before an entry in its row."""
    if width == 1:
        return row[place - 1] + 2 * row[place - 2]
    up = place - width
    farther = row[place - 2] + row[up - width] + row[up - width - 1]
    touching = row[place - 1] + 2 * row[up] + 4 * row[up + 1] + 8 * row[up - 1]
    return 4 * touching + farther


def _around(held: list[int], place: int, width: int) -> int:
    """Return a number below 16 for what the columns around an entry held so far."""
    count = held[place - 1] + held[place + 1]
    if width > 1:
        count += held[place - width] + held[place + width]
    return min(count // 2, 15)


def _coded_density(code: Code, density: float) -> int:
    """Code the chance of an entry, in 64 steps of log-odds."""
    spacing = 2 * FARTHEST // (_LEVELS - 1)
    odds = log_odds()[min(ceil(65536 * density), 65535)]
    return chances()[spacing * coded_number(code, (odds + FARTHEST) // spacing, bits=6)]
