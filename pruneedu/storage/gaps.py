"""Positions of what survived as the gaps between them, the way Deep Compression writes them."""

from __future__ import annotations

import numpy as np

from pruneedu.storage.errors import DamagedFile


def to_gaps(mask: np.ndarray, bits: int) -> np.ndarray:
    """Return the dropped entries before each entry that is kept, in numbers of `bits` bits.

    A gap is at most m = 2^bits - 1. Where more than m dropped entries lie in a row, a *filler* is
    written after each m of them: a dropped entry that is stored as if it were kept, with the value
    zero. Dropped entries at the end are not written.

    Args:
        mask: truth values of any shape, True = keep, read in row-major order.
        bits: of one gap, 1 to 32.

    Returns:
        [kept entries + fillers] gaps, each from 0 to m.

    Source: Han et al., "Deep Compression", 2016, figure 2.

    With gaps of 2 bits, the entry that is kept after 5 dropped ones needs a filler:

    >>> to_gaps(np.array([0, 1, 0, 0, 0, 0, 0, 1, 1, 0], dtype=bool), bits=2).tolist()
    [1, 3, 1, 0]
    """
    kept = np.flatnonzero(mask)
    steps = np.diff(kept, prepend=-1)  # From one kept entry to the next, at least 1.
    fillers = steps - 1 >> bits
    gaps = np.full(len(kept) + int(fillers.sum()), (1 << bits) - 1)
    gaps[np.cumsum(fillers + 1) - 1] = steps - 1 - (fillers << bits)
    return gaps


def from_gaps(gaps: np.ndarray, entries: int) -> np.ndarray:
    """Return the positions that `to_gaps` has written, those of the fillers among them.

    position_k = Σ_{i ≤ k} (gap_i + 1) - 1

    Args:
        gaps: as from `to_gaps`.
        entries: of the mask.

    Returns:
        [kept entries + fillers] rising indices of the flattened mask.

    Raises:
        DamagedFile: gaps below 0, or that lead past the last entry.

    >>> from_gaps(np.array([1, 3, 1, 0]), entries=10).tolist()
    [1, 5, 7, 8]
    """
    gaps = np.asarray(gaps, dtype=np.int64)
    if (
        len(gaps) and not 0 <= gaps.min() <= gaps.max() < entries
    ):  # First, so that no sum overflows.
        raise DamagedFile(f"a gap of {gaps.min()} or {gaps.max()} in a tensor of {entries} entries")
    positions = np.cumsum(gaps + 1) - 1
    if len(positions) and positions[-1] >= entries:
        raise DamagedFile(f"the gaps lead to entry {positions[-1]} of a tensor of {entries}")
    return positions
