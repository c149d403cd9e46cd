"""Two ways to pass the integers of a layer: the classic one, and the one with the fewest bytes.

A line passes matrices of integers in order. Whoever writes and whoever reads use it alike: the
writer gives what is to be passed; the reader gives any matrix of that shape, and gets what was
written.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import NamedTuple

import numpy as np

from pruneedu.storage import huffman
from pruneedu.storage.arithmetic import decoder, encoder
from pruneedu.storage.errors import DamagedFile
from pruneedu.storage.gaps import from_gaps, to_gaps
from pruneedu.storage.plain_data import Reader, number_bytes, reader, signed, unsigned
from pruneedu.storage.positions import coded_mask
from pruneedu.storage.values import coded_values

_GAP_BITS = range(2, 9)
_LENGTH_BITS = 6  # A word of 63 bits would need more symbols than any file can hold.


class Line(NamedTuple):
    """A way to pass integers.

    Attributes:
        passed: `passed(integers [rows, columns], width, hints)` returns the integers; width and
            hints as in `positions.coded_mask`.
        spent: `spent()` returns the bits that positions and values have taken so far.
        finish: `finish()` returns the bytes that were written; in a reader it raises DamagedFile
            where bytes are left.
    """

    passed: Callable[[np.ndarray, int, np.ndarray], np.ndarray]
    spent: Callable[[], tuple[int, int]]
    finish: Callable[[], bytes]


def arithmetic_line(data: bytes | None = None, most: int = 1 << 62) -> Line:
    """Return a line through the adaptive arithmetic coder, which writes where there is no data.

    Args:
        data: the bytes to read, or None to write.
        most: decisions that a reader takes at most.
    """
    code, spent, finish = encoder() if data is None else decoder(data, most)
    positions = 0

    def passed(integers: np.ndarray, width: int, hints: np.ndarray) -> np.ndarray:
        nonlocal positions
        before = spent()
        mask = coded_mask(code, integers != 0, width, hints)
        positions += spent() - before
        return coded_values(code, integers, mask)

    return Line(passed, lambda: (positions, spent() - positions), finish)


def classic_line(data: bytes | None = None) -> Line:
    """Return a line that works as Deep Compression does: gaps and values in Huffman codes.

    Each layer has its own codes, and gaps of the width that takes the fewest bytes. The zeros of
    fillers are values with a code word like the others.

    Args:
        data: the bytes to read, or None to write.

    Source: Han et al., "Deep Compression", 2016.
    """
    return _classic_writer() if data is None else _classic_reader(reader(data))


def _classic_writer() -> Line:
    blocks = []

    def passed(integers: np.ndarray, width: int, hints: np.ndarray) -> np.ndarray:
        every = [to_gaps(integers != 0, bits) for bits in _GAP_BITS]
        pairs = [(_block(g), _block(integers.flat[from_gaps(g, integers.size)])) for g in every]
        blocks.append(min(pairs, key=lambda pair: len(pair[0]) + len(pair[1])))
        return integers

    def spent() -> tuple[int, int]:
        return 8 * sum(len(gaps) for gaps, _ in blocks), 8 * sum(
            len(values) for _, values in blocks
        )

    return Line(passed, spent, lambda: b"".join(chain.from_iterable(blocks)))


def _classic_reader(read: Reader) -> Line:
    positions, all_bits = 0, 8 * read.left()

    def passed(integers: np.ndarray, width: int, hints: np.ndarray) -> np.ndarray:
        nonlocal positions
        before = read.left()
        places = from_gaps(_read_block(read), integers.size)
        positions += 8 * (before - read.left())
        read_integers = np.zeros(integers.shape, dtype=np.int64)
        read_integers.flat[places] = _read_block(read, len(places))
        return read_integers

    def spent() -> tuple[int, int]:
        return positions, all_bits - 8 * read.left() - positions

    def finish() -> bytes:
        if read.left():
            raise DamagedFile(f"{read.left()} bytes are left after the last tensor")
        return b""

    return Line(passed, spent, finish)


def _block(values: np.ndarray) -> bytes:
    """Return integers as bytes: how many, the different ones, their code lengths, the words."""
    symbols, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    lengths = huffman.code_lengths(counts.tolist())
    table = "".join(f"{length:0{_LENGTH_BITS}b}" for length in lengths)
    words = huffman.encode(places.tolist(), lengths)
    steps = np.diff(symbols, prepend=0).tolist()
    return b"".join(
        [
            *(number_bytes(len(values)), number_bytes(len(symbols)), number_bytes(len(words))),
            *(number_bytes(unsigned(step)) for step in steps),
            np.packbits(np.array(list(table), dtype=np.uint8)).tobytes(),
            words,
        ]
    )


def _read_block(read: Reader, expected: int | None = None) -> np.ndarray:
    """Read what `_block` has written."""
    count, different, size = read.number(), read.number(), read.number()
    if count > 8 * size or different > count or (expected is not None and count != expected):
        raise DamagedFile(f"{count} Huffman code words of {different} kinds in {size} bytes")
    symbols = np.cumsum([signed(read.number()) for _ in range(different)], dtype=np.int64)
    table = read.take(-(-_LENGTH_BITS * different // 8))
    digits = np.unpackbits(np.frombuffer(table, np.uint8))[: _LENGTH_BITS * different]
    lengths = digits.reshape(-1, _LENGTH_BITS) @ (1 << np.arange(_LENGTH_BITS)[::-1])
    decoded = np.array(huffman.decode(read.take(size), lengths.tolist(), count), dtype=np.int64)
    if (words := -(-int(lengths[decoded].sum()) // 8)) < size:
        raise DamagedFile(f"{size - words} bytes are left after {count} Huffman code words")
    return symbols[decoded]
