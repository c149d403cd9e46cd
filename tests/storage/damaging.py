"""Damaged files, from a seed: flipped, cut, stretched, spliced; half are made to look whole."""

from collections.abc import Iterator
from zlib import crc32

import numpy as np

from pruneedu.storage.file import MAGIC


def damaged(files: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Yield `count` damaged files; every second one has a checksum that fits again."""
    rng = np.random.default_rng(seed)
    kinds = (flipped, overwritten, cut, stretched, spliced, with_large_numbers)
    for i in range(count):
        file = files[rng.integers(len(files))]
        data = kinds[i // 2 % len(kinds)](file, files, rng)
        yield resealed(data) if i % 2 else data


def resealed(data: bytes) -> bytes:
    """Return the file with its magic number, version and checksum made right."""
    return MAGIC + crc32(MAGIC + data[8:]).to_bytes(4, "little") + data[8:]


def flipped(file, files, rng):
    data = bytearray(file)
    for _ in range(rng.integers(1, 4)):
        data[place_in(data, rng)] ^= 1 << rng.integers(8)
    return bytes(data)


def overwritten(file, files, rng):
    data, start = bytearray(file), place_in(file, rng)
    length = min(int(rng.integers(1, 9)), len(data) - start)
    data[start : start + length] = rng.bytes(length)
    return bytes(data)


def cut(file, files, rng):
    start = place_in(file, rng)
    return file[:start] + file[start + int(rng.integers(1, 20)) if rng.integers(2) else len(file) :]


def stretched(file, files, rng):
    start = place_in(file, rng) + int(rng.integers(2))
    return file[:start] + rng.bytes(int(rng.integers(1, 9))) + file[start:]


def spliced(file, files, rng):
    other = files[rng.integers(len(files))]
    return file[: place_in(file, rng)] + other[place_in(other, rng) :]


def with_large_numbers(file, files, rng):
    """Replace a byte by a number of many bytes: a count, a shape or a size that lies."""
    start = place_in(file, rng)
    large = b"\xff" * int(rng.integers(1, 9)) + bytes([rng.integers(1, 128)])
    return file[:start] + large + file[start + 1 :]


def place_in(data, rng):
    """Return a place in a file, more often than not near its beginning, where the header is."""
    end = len(data) if rng.integers(2) else min(len(data), 40)
    return int(rng.integers(min(8, end - 1) if rng.integers(8) else 0, end))
