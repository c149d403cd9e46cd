"""What is inside a compressed file, and what each component of it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from pruneedu.storage.coding import Cost
from pruneedu.storage.file import Opened, opened
from pruneedu.tables import Table, as_html, as_text


class Sizes(NamedTuple):
    """The bytes of a file by component; they sum to the file's.

    Attributes:
        positions: where the entries of weights are not zero.
        values: integers or floats at these positions.
        codebooks: codebooks, scales and zero points of weights.
        biases: all of the tensors that have one dimension or none.
        header: the rest: checksum, network, kinds of tensors, parts of bytes.
    """

    positions: int
    values: int
    codebooks: int
    biases: int
    header: int


class Row(NamedTuple):
    """One tensor of a file.

    Attributes:
        name, kind, shape: as stored.
        nonzeros: entries that are not zero.
        bits: what it took, in the coded integers and in floats.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    nonzeros: int
    bits: int


@dataclass(frozen=True)
class Inspection:
    """What a file holds.

    Attributes:
        architecture: name and configuration of the network, or None.
        plan: plain data that the file carries for a rewrite.
        coder: "arithmetic" or "huffman".
        rows: one for each tensor.
        sizes: bytes by component.
    """

    architecture: tuple[str, dict[str, Any]] | None
    plan: dict[str, Any]
    coder: str
    rows: tuple[Row, ...]
    sizes: Sizes

    def __str__(self) -> str:
        """Return a table as text."""
        return as_text(self._table())

    def _repr_html_(self) -> str:
        return as_html(self._table())

    def _table(self) -> Table:
        tensors = [
            ("Tensors", (_printable(r.name), r.kind, _by(r.shape), str(r.nonzeros), _bytes(r)))
            for r in self.rows
        ]
        sizes = [
            ("Components", (name, "", "", "", str(size)))
            for name, size in self.sizes._asdict().items()
        ]
        name = "no named network" if self.architecture is None else _network(*self.architecture)
        title = f"{name}, {self.coder} code, {sum(self.sizes)} bytes"
        notes = [f"Plan: {self.plan!r}"] if self.plan else []
        return Table(title, ("", "kind", "shape", "nonzeros", "bytes"), tensors + sizes, notes)


def inspect(data: bytes) -> Inspection:
    """Tell what is inside a compressed file, and what each component takes.

    Args:
        data: the bytes of a file.

    Returns:
        A printable record; `sizes` sum to the bytes of the file.

    Raises:
        TypeError, DamagedFile: as in `decode`.

    >>> from pruneedu.models import mlp
    >>> from pruneedu.storage.file import encode
    >>> from pruneedu.storage.networks import contents_of
    >>> print(inspect(encode(contents_of(mlp(4, 2)))))
    mlp(sizes=(4, 2)), arithmetic code, 60 bytes
                    kind   shape   nonzeros   bytes
    Tensors
      fc1.weight   plain   2 × 4          8      32
      fc1.bias     plain       2          2       8
    Components
      positions                                   0
      values                                     32
      codebooks                                   0
      biases                                      8
      header                                     20
    """
    file = opened(data)
    rows = []
    for name, part in file.contents.tensors.items():
        dense = part.dense()
        kind, shape = type(part).__name__.lower(), tuple(dense.shape)
        rows.append(Row(name, kind, shape, int(dense.count_nonzero()), sum(file.costs[name])))
    return Inspection(
        file.contents.architecture,
        file.contents.plan,
        "huffman" if file.classic else "arithmetic",
        tuple(rows),
        _sizes(file, rows),
    )


def _sizes(file: Opened, rows: list[Row]) -> Sizes:
    """Return the bytes by component; what is no whole byte counts as header."""
    weights = [file.costs[row.name] for row in rows if len(row.shape) > 1]
    biases = sum(row.bits for row in rows if len(row.shape) < 2)
    bits = [*map(sum, zip(*weights, strict=True))] if weights else [0] * len(Cost._fields)
    sizes = [n // 8 for n in (*bits, biases)]
    return Sizes(*sizes, header=file.size - sum(sizes))


def _network(name: str, config: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value}' for key, value in config.items())})"


def _printable(name: str) -> str:
    """Return a name that cannot move the cursor of whoever prints it."""
    return name if name.isprintable() else repr(name)


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "scalar"


def _bytes(row: Row) -> str:
    return f"{row.bits / 8:.0f}"
