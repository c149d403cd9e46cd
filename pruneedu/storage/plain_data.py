"""Numbers, names and small configurations as few bytes, and a reader that trusts none of them."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from pruneedu.storage.errors import DamagedFile

_NONE, _FALSE, _TRUE, _INT, _FLOAT, _TEXT, _TUPLE, _LIST, _DICT = range(9)
_DEEPEST, _LONGEST = 8, 63


class Reader(NamedTuple):
    """What is left of some bytes.

    Attributes:
        take: `take(n)` returns the next n bytes.
        number: `number()` returns the next whole number, from 0 to 2^63 - 1.
        left: `left()` returns how many bytes there are still.
    """

    take: Callable[[int], bytes]
    number: Callable[[], int]
    left: Callable[[], int]


def reader(data: bytes) -> Reader:
    """Return a reader of bytes, which raises DamagedFile where they end too early.

    >>> read = reader(b"\\x05ab")
    >>> read.number(), read.take(1), read.left()
    (5, b'a', 1)
    """
    place = 0

    def take(count: int) -> bytes:
        nonlocal place
        if count > len(data) - place:
            raise DamagedFile(f"{count} bytes are announced, but {len(data) - place} are left")
        place += count
        return data[place - count : place]

    def number() -> int:
        value = shift = 0
        while True:
            (byte,) = take(1)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
            if shift >= _LONGEST:
                raise DamagedFile("a whole number is longer than 63 bits")
        if shift > 7 and byte == 0:
            raise DamagedFile("a whole number is written with more bytes than it needs")
        return value

    return Reader(take, number, lambda: len(data) - place)


def number_bytes(value: int) -> bytes:
    """Return a whole number from 0 to 2^63 - 1, seven bits a byte, the lowest first.

    >>> number_bytes(5).hex(), number_bytes(300).hex()
    ('05', 'ac02')
    """
    if not 0 <= value < 1 << _LONGEST:
        raise ValueError(f"the number is {value}: a file holds whole numbers from 0 to 2^63 - 1")
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def signed(number: int) -> int:
    """Return the integer that a whole number stands for: 0, -1, 1, -2, 2, … are 0, 1, 2, 3, 4, …

    >>> [signed(number) for number in range(5)]
    [0, -1, 1, -2, 2]
    """
    return -(number + 1 >> 1) if number & 1 else number >> 1


def unsigned(value: int) -> int:
    """Return the whole number that stands for an integer, the inverse of `signed`.

    >>> [unsigned(value) for value in (0, -1, 1, -2, 2)]
    [0, 1, 2, 3, 4]
    """
    return 2 * value if value >= 0 else -2 * value - 1


def text_bytes(text: str) -> bytes:
    """Return a text with its length before it, in UTF-8.

    >>> text_bytes("fc1")
    b'\\x03fc1'
    """
    written = text.encode()
    return number_bytes(len(written)) + written


def read_text(read: Reader) -> str:
    """Read what `text_bytes` has written; DamagedFile where it is not UTF-8."""
    try:
        return read.take(read.number()).decode()
    except UnicodeDecodeError as error:
        raise DamagedFile("a name is not valid UTF-8") from error


def plain_bytes(value: Any, depth: int = 0) -> bytes:
    """Return plain data as bytes, each value behind a tag that says what it is.

    Plain data are None, truth values, integers, finite floats, texts, and tuples, lists and dicts
    of them; the keys of a dict are texts.

    Args:
        value: the data.
        depth: how many tuples, lists and dicts it lies in; at most 8.

    Raises:
        TypeError: anything else.
        ValueError: NaN, infinity, an integer of more than 63 bits, or data nested too deep.

    >>> plain_bytes({"sizes": (4, 2)}).hex()  # a dict of 1, "sizes", a tuple of 2, 4 and 2
    '08010573697a6573060203080304'
    """
    if depth > _DEEPEST:
        raise ValueError(f"the data is nested more than {_DEEPEST} deep: make it flatter")
    if value is None or isinstance(value, bool):
        return bytes([_NONE if value is None else _TRUE if value else _FALSE])
    if isinstance(value, int):
        return bytes([_INT]) + number_bytes(unsigned(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"the data holds {value}: a file holds finite numbers only")
        return bytes([_FLOAT]) + struct.pack("<d", value)
    if isinstance(value, str):
        return bytes([_TEXT]) + text_bytes(value)
    if isinstance(value, (tuple, list)):
        items = [plain_bytes(item, depth + 1) for item in value]
        tag = _TUPLE if isinstance(value, tuple) else _LIST
        return bytes([tag]) + number_bytes(len(items)) + b"".join(items)
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        items = [text_bytes(key) + plain_bytes(item, depth + 1) for key, item in value.items()]
        return bytes([_DICT]) + number_bytes(len(items)) + b"".join(items)
    raise TypeError(f"the data holds {value!r}, but a file holds plain data: numbers, texts, lists")


def read_plain(read: Reader, depth: int = 0) -> Any:
    """Read what `plain_bytes` has written, or raise DamagedFile.

    >>> read_plain(reader(plain_bytes({"sizes": (4, [2.5, None])})))
    {'sizes': (4, [2.5, None])}
    """
    (tag,) = read.take(1)
    if depth > _DEEPEST or tag > _DICT:
        raise DamagedFile(f"plain data has the unknown tag {tag}, or is nested too deep")
    if tag in (_NONE, _FALSE, _TRUE):
        return {_NONE: None, _FALSE: False, _TRUE: True}[tag]
    if tag == _INT:
        return signed(read.number())
    if tag == _FLOAT:
        (value,) = struct.unpack("<d", read.take(8))
        if not math.isfinite(value):
            raise DamagedFile(f"plain data holds {value}")
        return value
    if tag == _TEXT:
        return read_text(read)
    # Each item takes at least a byte, so that the bytes run out before memory does.
    count = range(read.number())
    if tag == _DICT:
        pairs = [(read_text(read), read_plain(read, depth + 1)) for _ in count]
        if len(dict(pairs)) < len(pairs):
            raise DamagedFile("plain data holds a dict in which a key comes twice")
        return dict(pairs)
    items = [read_plain(read, depth + 1) for _ in count]
    return tuple(items) if tag == _TUPLE else items
