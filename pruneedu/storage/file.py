"""One compressed file for any mix of the techniques, decoded to the same tensors bit for bit.

    magic and version (4) · checksum (4) · flags · bytes of floats · network or shapes ·
    kind of each tensor · positions and integers · floats

Numbers are whole, seven bits a byte. Nothing in a file is run, and what it says of itself is
checked before memory is taken for it.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple
from zlib import crc32

from pruneedu.storage.coding import Cost, read_part, write_part
from pruneedu.storage.errors import DamagedFile
from pruneedu.storage.heads import Head, head_bytes, head_of, read_head
from pruneedu.storage.layout import (
    Shapes,
    architecture_bytes,
    read_architecture,
    read_shapes,
    shapes_bytes,
    shapes_of,
)
from pruneedu.storage.lines import Line, arithmetic_line, classic_line
from pruneedu.storage.parts import Contents, Part
from pruneedu.storage.plain_data import Reader, number_bytes, plain_bytes, read_plain, reader

MAGIC = b"\xd5pe\x01"  # The last byte is the version.
_CLASSIC, _NETWORK, _SHAPES, _PLAN = 1, 2, 4, 8  # the flags
# A file may hold this many entries and ask for this many decisions, so many more for each of its
# bytes, and never more than the last number. Real files stay far below; without bounds, 50 bytes
# could fill a memory, or keep a reader busy for a day.
_ENTRIES = 1 << 20, 1 << 9, 1 << 27
_DECISIONS = 1 << 18, 1 << 9, 1 << 24


class Opened(NamedTuple):
    """A file that was read.

    Attributes:
        contents: what it holds.
        classic: whether Huffman codes were used.
        costs: for each tensor, what its parts took.
        size: bytes of the file.
    """

    contents: Contents
    classic: bool
    costs: dict[str, Cost]
    size: int


def encode(contents: Contents, coder: str = "arithmetic") -> bytes:
    """Return a compressed network as the bytes of a file.

    Args:
        contents: as from `contents_of`.
        coder: "arithmetic" for the fewest bytes: reading takes about 10 µs for each weight between
            units that are in use, and 30 to 100 µs more for each that is not zero; writing takes
            twice that. "huffman" for the classic code of Deep Compression, which is at least ten
            times faster and the choice for millions of weights.

    Returns:
        The bytes. They were read once, so a file that is written can be read.

    Raises:
        TypeError: no contents. ValueError: another coder, a network that `models.build` does not
            make, or contents so uniform that a reader would take the file for a bomb.

    Source: for the whole idea, Han et al., "Deep Compression", 2016.

    >>> import torch
    >>> from pruneedu.storage.parts import Plain
    >>> data = encode(Contents({"w": Plain(torch.tensor([0.0, 0.5, 0.0]))}))
    >>> len(data), decode(data).tensors["w"].dense()
    (21, tensor([0.0000, 0.5000, 0.0000]))
    """
    if not isinstance(contents, Contents):
        raise TypeError(
            f"the contents are a {type(contents).__name__}: give what contents_of(model) returns"
        )
    if coder not in ("arithmetic", "huffman"):
        raise ValueError(f"the coder is {coder!r}: choose 'arithmetic' or 'huffman'")
    line = arithmetic_line() if coder == "arithmetic" else classic_line()
    parts = list(contents.tensors.values())
    heads, floats, live = [head_of(part) for part in parts], bytearray(), None
    for part in parts:
        live = write_part(part, line, floats, live)
    flags, layout = _layout_bytes(contents)
    flags |= _CLASSIC * (coder == "huffman")
    body = [number_bytes(flags), number_bytes(len(floats)), layout, *map(head_bytes, heads)]
    body = b"".join([*body, line.finish(), bytes(floats)])
    data = MAGIC + crc32(MAGIC + body).to_bytes(4, "little") + body
    try:
        opened(data)
    except DamagedFile as error:
        raise ValueError(f"these contents make no file that can be read: {error}") from error
    return data


def decode(data: bytes) -> Contents:
    """Return what the bytes of a file hold.

    Args:
        data: as from `encode`; from anywhere.

    Returns:
        The contents, on the CPU: the tensors, bit for bit, in the order in which they were given.

    Raises:
        TypeError: no bytes. DamagedFile: bytes that are damaged, cut short or of another kind, or
            that lie about what they hold.

    >>> decode(b"PK")
    Traceback (most recent call last):
    pruneedu.storage.errors.DamagedFile: this is no compressed network: it starts with b'PK'
    """
    return opened(data).contents


def opened(data: bytes) -> Opened:
    """Return what the bytes of a file hold, and what each part of it took; as `decode`."""
    if not isinstance(data, bytes | bytearray):
        raise TypeError(
            f"the file is given as a {type(data).__name__}: give its bytes, such as "
            "Path('small.pe').read_bytes()"
        )
    body = _checked(data)
    read = reader(body)
    flags, floats_size = read.number(), read.number()
    if flags > _CLASSIC + _NETWORK + _SHAPES + _PLAN or floats_size > read.left():
        raise DamagedFile(f"the flags are {flags}, and {floats_size} bytes are said to be floats")
    architecture = read_architecture(read) if flags & _NETWORK else None
    plan = read_plain(read) if flags & _PLAN else {}
    # Also where shapes follow: whoever opens the file builds the network before it loads them.
    follow = {} if architecture is None else shapes_of(architecture)
    _check_entries(follow, data)
    shapes = _read_layout(read, flags, follow)
    _check_entries(shapes, data)
    heads = [read_head(read) for _ in shapes]
    if floats_size > read.left() or not isinstance(plan, dict):
        raise DamagedFile("the floats overlap with the header, or the plan is no dict")
    coded, floats = read.take(read.left() - floats_size), reader(read.take(floats_size))
    most = _bound(_DECISIONS, data)
    line = classic_line(coded) if flags & _CLASSIC else arithmetic_line(coded, most)
    tensors, costs = _read_parts(dict(zip(shapes, heads, strict=True)), shapes, line, floats)
    line.finish()
    if floats.left():
        raise DamagedFile(f"{floats.left()} bytes of floats are left after the last tensor")
    return Opened(Contents(tensors, architecture, plan), bool(flags & _CLASSIC), costs, len(data))


def _checked(data: bytes) -> bytes:
    """Return the bytes behind the checksum, or raise DamagedFile."""
    if data[:3] != MAGIC[:3]:
        raise DamagedFile(f"this is no compressed network: it starts with {bytes(data[:8])!r}")
    if data[3:4] != MAGIC[3:]:
        raise DamagedFile(f"the file is of version {data[3:4].hex()}, but this one reads 01 only")
    if len(data) < 8 or crc32(MAGIC + data[8:]) != int.from_bytes(data[4:8], "little"):
        raise DamagedFile(f"the checksum does not fit the {len(data)} bytes: the file is damaged")
    return data[8:]


def _layout_bytes(contents: Contents) -> tuple[int, bytes]:
    """Return the flags and the bytes for network, plan and, where they do not follow, shapes."""
    flags, written = 0, b""
    shapes = {name: tuple(part.dense().shape) for name, part in contents.tensors.items()}
    if contents.architecture is not None:
        flags, written = _NETWORK, architecture_bytes(contents.architecture)
    if contents.plan:
        flags, written = flags | _PLAN, written + plain_bytes(contents.plan)
    follow = contents.architecture and list(shapes_of(contents.architecture).items())
    if follow != list(shapes.items()):
        flags, written = flags | _SHAPES, written + shapes_bytes(shapes)
    return flags, written


def _read_layout(read: Reader, flags: int, follow: Shapes) -> Shapes:
    """Return the shape of each tensor: as told, or those that follow from the network."""
    if flags & _SHAPES:
        return read_shapes(read)
    if not flags & _NETWORK:
        raise DamagedFile("the file names neither a network nor the shapes of its tensors")
    return follow


def _check_entries(shapes: Shapes, data: bytes) -> None:
    """Raise where a file of this size cannot hold so many entries."""
    # An empty tensor may still have many rows.
    entries = sum(prod(max(1, n) for n in shape) for shape in shapes.values())
    if entries > (most := _bound(_ENTRIES, data)):
        raise DamagedFile(f"{len(data)} bytes are said to hold {entries} entries: at most {most}")


def _bound(bound: tuple[int, int, int], data: bytes) -> int:
    """Return how much a file of this size may ask for."""
    base, each_byte, most = bound
    return min(base + each_byte * len(data), most)


def _read_parts(
    heads: dict[str, Head], shapes: Shapes, line: Line, floats: Reader
) -> tuple[dict[str, Part], dict[str, Cost]]:
    """Return all tensors, and what each of them took."""
    tensors, costs, live = {}, {}, None
    for name, head in heads.items():
        try:
            tensors[name], costs[name], live = read_part(head, shapes[name], line, floats, live)
        except DamagedFile as error:
            raise DamagedFile(f"the tensor {name!r} cannot be read: {error}") from error
    return tensors, costs
