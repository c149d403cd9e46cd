"""Arithmetic coding of bits: a bit of probability p costs -log2 p bits, also where that is little.

The encoder and the decoder have the same shape, `code(chance, bit) -> bit`. The encoder writes the
bit that it is given; the decoder takes no notice of it and returns the one that it reads. So each
model of the data is written once, and serves both ways. All numbers are integers, so that a file
means the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pruneedu.storage.errors import DamagedFile

BITS = 16  # of a chance: 1 … 65535 stand for 1/65536 … 65535/65536.
_TOP, _LOW = 1 << 32, 1 << 24


class Coder(NamedTuple):
    """One end of the line.

    Attributes:
        code: `code(chance, bit)` passes one bit; chance is 65536 · P(bit = 1), from 1 to 65535.
        spent: `spent()` returns the bits that went through the line so far.
        finish: `finish()` ends the line. The encoder's returns the bytes; the decoder's returns
            none, and raises where bytes are left.
    """

    code: Callable[[int, int], int]
    spent: Callable[[], int]
    finish: Callable[[], bytes]


def encoder() -> Coder:
    """Return a coder that writes bits.

    All texts share the interval from 0 to 1. Each bit narrows it, in proportion to its chance:
    [low, low + width) becomes [low, low + width · p) for a 1 and the rest for a 0. Any number in
    the last interval tells all bits, and one with -log2(width) digits always lies there.

    Source: Rissanen and Langdon, "Arithmetic coding", 1979; Martin, "Range encoding", 1979.

    >>> write = encoder()
    >>> for bit in [0] * 1000:
    ...     _ = write.code(656, bit)  # P(1) = 1 %, so a 0 costs 0.0145 bits
    >>> len(write.finish())
    2
    """
    low, width, written = 0, _TOP - 1, bytearray()

    def code(chance: int, bit: int) -> int:
        nonlocal low, width
        ones = width * chance >> BITS
        if bit:
            width = ones
        else:
            low += ones
            width -= ones
        while width < _LOW:
            shift()
        return bit

    def shift() -> None:
        nonlocal low, width
        if low >= _TOP:
            carry()
        written.append(low >> 24)
        low = low % _LOW << 8
        width <<= 8

    def carry() -> None:
        nonlocal low
        low -= _TOP
        last = len(written.rstrip(b"\xff")) - 1
        written[last] += 1
        written[last + 1 :] = bytes(len(written) - last - 1)

    def spent() -> int:
        return 8 * len(written) + 32 - width.bit_length()

    def finish() -> bytes:
        nonlocal low, width
        # The number in the interval that has the fewest bytes; the reader takes 0 for the rest.
        free = max(n for n in (0, 8, 16, 24, 32) if -(-low >> n << n) < low + width)
        low = -(-low >> free << free)
        if low >= _TOP:
            carry()
        return bytes(written) + low.to_bytes(4)[: 4 - free // 8]

    return Coder(code, spent, finish)


def decoder(data: bytes, most: int = 1 << 62) -> Coder:
    """Return a coder that reads the bits back, given the same chances in the same order.

    Args:
        data: bytes as from the encoder's `finish`.
        most: bits to read at most, so that a small file cannot keep its reader busy for ever.

    Raises:
        DamagedFile: in `code`, where the bytes end too early or more than `most` bits are asked
            for; in `finish`, where bytes are left.

    >>> write = encoder()
    >>> bits = [write.code(20000, bit) for bit in (1, 0, 0, 1, 1)]
    >>> read = decoder(write.finish())
    >>> [read.code(20000, 0) for _ in bits]
    [1, 0, 0, 1, 1]
    """
    read, width, left = 4, _TOP - 1, most
    value = int.from_bytes(data[:4].ljust(4, b"\0"))

    def code(chance: int, bit: int) -> int:
        nonlocal value, width, left
        ones = width * chance >> BITS
        if value < ones:
            width, bit = ones, 1
        else:
            value, width, bit = value - ones, width - ones, 0
        while width < _LOW:
            shift()
        left -= 1
        if left < 0:
            raise DamagedFile(f"the file asks for more than {most} bits, far too many for its size")
        return bit

    def shift() -> None:
        nonlocal value, width, read
        if read >= len(data) + 4:
            raise DamagedFile(f"the coded bits end after {len(data)} bytes, before the last tensor")
        value = value << 8 | (data[read] if read < len(data) else 0)
        width <<= 8
        read += 1

    def spent() -> int:
        return 8 * (read - 4) + 32 - width.bit_length()

    def finish() -> bytes:
        if read < len(data):
            raise DamagedFile(f"{len(data) - read} bytes are left after the last tensor")
        return b""

    return Coder(code, spent, finish)
