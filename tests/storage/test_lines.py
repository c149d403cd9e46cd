"""Both lines pass matrices in order, and agree with their readers on what was spent."""

import numpy as np
import pytest

from pruneedu.storage.errors import DamagedFile
from pruneedu.storage.lines import arithmetic_line, classic_line

LINES = pytest.mark.parametrize("line", [arithmetic_line, classic_line])


def matrices():
    rng = np.random.default_rng(0)
    shapes = [(6, 9), (1, 5), (0, 4), (4, 0), (30, 49)]
    return [rng.integers(-3, 4, shape) * (rng.random(shape) < 0.3) for shape in shapes]


@LINES
def test_matrices_come_back_in_order(line):
    written = line()
    for matrix in matrices():
        assert (written.passed(matrix, 1, np.zeros(matrix.shape[1], dtype=int)) == matrix).all()
    read = line(written.finish())
    for matrix in matrices():
        got = read.passed(np.zeros_like(matrix), 1, np.zeros(matrix.shape[1], dtype=int))
        assert (got == matrix).all()
    assert read.spent() == written.spent()
    assert all(written.spent())
    read.finish()


@LINES
def test_what_is_left_over_is_refused(line):
    written, none = line(), np.zeros(0, dtype=int)
    written.passed(np.zeros((0, 0), dtype=np.int64), 1, none)
    read = line(written.finish() + bytes(9))
    read.passed(np.zeros((0, 0), dtype=np.int64), 1, none)
    with pytest.raises(DamagedFile, match="left after the last tensor"):
        read.finish()


def test_the_classic_line_takes_the_best_gaps():
    """A survivor every 40 entries: gaps of 6 bits need no filler, and one code word."""
    layer = np.zeros((40, 40), dtype=np.int64)
    layer.flat[39::40] = 1
    written = classic_line()
    written.passed(layer, 1, np.zeros(40, dtype=int))
    # In each block: three counts, one symbol, its code length, and 40 code words of one bit.
    assert len(written.finish()) == 2 * (3 + 1 + 1 + 5)
