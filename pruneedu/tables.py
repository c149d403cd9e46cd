"""Small tables with grouped rows, as aligned text and as HTML that a screen reader can follow."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import NamedTuple

_LEFT = 'style="text-align: left"'  # a notebook sets headings on the right


class Table(NamedTuple):
    """A title, a header, rows of cells under the name of their group, and notes."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, tuple[str, ...]]]
    notes: list[str]


def as_text(table: Table) -> str:
    """Return the table as aligned text.

    >>> print(as_text(Table("Cost", ("", "a"), [("Counted", ("weights", "12"))], ["No biases."])))
    Cost
                 a
    Counted
      weights   12
    No biases.
    """
    lines = [table.header, *(cells for _, cells in table.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def aligned(cells: tuple[str, ...]) -> str:
        first, *rest = (
            cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)
        )
        return "   ".join(("  " + cells[0].ljust(widths[0]), first, *rest))

    body = [
        line
        for group, rows in groupby(table.rows, key=lambda row: row[0])
        for line in (group, *(aligned(cells) for _, cells in rows))
    ]
    return "\n".join((table.title, aligned(table.header), *body, *table.notes))


def as_html(table: Table) -> str:
    """Return the table as HTML: a caption, a scope on each heading, everything escaped.

    >>> as_html(Table("Cost", ("", "a"), [("Counted", ("weights", "1 < 2"))], []))[:60]
    '<table><caption>Cost</caption><thead><tr><td></td><th scope='
    """
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header[1:])
    bodies = []
    for group, rows in groupby(table.rows, key=lambda row: row[0]):
        span = f'scope="rowgroup" colspan="{len(table.header)}"'
        heading = f"<th {span} {_LEFT}>{escape(group)}</th>"
        bodies.append(f"<tbody><tr>{heading}</tr>{''.join(map(_html_row, rows))}</tbody>")
    return (
        f"<table><caption>{escape(table.title)}</caption>"
        f"<thead><tr><td></td>{head}</tr></thead>{''.join(bodies)}</table>"
        + "".join(f"<p>{escape(note)}</p>" for note in table.notes)
    )


def _html_row(row: tuple[str, tuple[str, ...]]) -> str:
    name, *values = row[1]
    cells = "".join(f"<td>{escape(value)}</td>" for value in values)
    return f'<tr><th scope="row" {_LEFT}>{escape(name)}</th>{cells}</tr>'
