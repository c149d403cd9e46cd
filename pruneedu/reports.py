"""The records that `measure` returns: one report, or two side by side."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from pruneedu.tables import Table, as_html, as_text
from pruneedu.timing import Spread

_THEORETICAL, _MEASURED, _QUALITY = "Theoretical", "Measured", "Quality"
_Value = int | float | Spread


@dataclass(frozen=True)
class Report:
    """What a network costs; `measure` fills it in.

    Bytes are bytes, latency is seconds by batch size, accuracy and macro F1 lie in [0, 1].
    `parameters` and `nonzeros` count what is learnable; the byte counts hold the buffers too.
    `macs` are those of one example, and leave out the module types named in `uncounted`.
    """

    name: str
    device: str
    batch: int
    parameters: int
    nonzeros: int
    packed_bytes: int
    macs: int
    uncounted: tuple[str, ...]
    dense_bytes: int
    disk_bytes: int
    deflated_bytes: int
    peak_bytes: int
    latency: dict[int, Spread]
    examples: int = 0
    accuracy: float | None = None
    macro_f1: float | None = None

    def versus(self, other: Report) -> Comparison:
        """Set this report beside the one it is compared with, usually that of the dense model.

        Two latencies here were measured one after the other; where their quartile ranges
        overlap, the gain is reported as none. `compare_latency` times two models in turn.

        Raises:
            ValueError: measured at another batch size, on another device, or on other data.
        """
        for field in ("device", "batch", "examples"):
            mine, theirs = getattr(self, field), getattr(other, field)
            if mine != theirs:
                raise ValueError(
                    f"{self.name} has {field} {mine} and {other.name} has {field} {theirs}; "
                    "expected the same: measure both with one example, data and machine"
                )
        return Comparison(before=other, after=self)

    def __str__(self) -> str:
        """Return the report as aligned text."""
        return as_text(self._table())

    def _repr_html_(self) -> str:
        return as_html(self._table())

    def _table(self) -> Table:
        rows = [
            (group, (label, _show(value, self.examples))) for group, label, value in _rows(self)
        ]
        return Table(f"{self.name} on {self.device}", ("", self.name), rows, [_note(self)])


@dataclass(frozen=True)
class Comparison:
    """Two reports side by side; `before` is the one compared with."""

    before: Report
    after: Report

    def gains(self) -> dict[str, float | None]:
        """Return before / after by row; None for a latency whose change is within the noise."""
        return {label: _factor(*pair) for group, label, *pair in self._pairs() if group != _QUALITY}

    def __str__(self) -> str:
        """Return the comparison as aligned text."""
        return as_text(self._table())

    def _repr_html_(self) -> str:
        return as_html(self._table())

    def _pairs(self) -> list[tuple[str, str, _Value, _Value]]:
        pairs = zip(_rows(self.before), _rows(self.after), strict=True)
        return [(*old, new) for old, (_, _, new) in pairs]

    def _table(self) -> Table:
        before, after = self.before, self.after
        rows = []
        for group, label, old, new in self._pairs():
            gain = _points(old, new) if group == _QUALITY else _gain(label, _factor(old, new))
            cells = (label, _show(old, before.examples), _show(new, after.examples), gain)
            rows.append((group, cells))
        names = (before.name, after.name)
        if before.name == after.name:
            names = ("before", "after")
        notes = [
            _note(before, after),
            "A latency's gain is none where the quartiles of the two overlap; "
            "compare_latency times two models in turn.",
        ]
        return Table(
            f"{names[1]} versus {names[0]} on {after.device}", ("", *names, "gain"), rows, notes
        )


def _rows(report: Report) -> list[tuple[str, str, _Value]]:
    rows = [
        (_THEORETICAL, "parameters", report.parameters),
        (_THEORETICAL, "nonzero parameters", report.nonzeros),
        (_THEORETICAL, "bytes packed (nonzeros and positions)", report.packed_bytes),
        (_THEORETICAL, "MACs per example", report.macs),
        (_MEASURED, "bytes in memory (weights, buffers)", report.dense_bytes),
        (_MEASURED, "bytes on disk (safetensors)", report.disk_bytes),
        (_MEASURED, "bytes on disk, deflated", report.deflated_bytes),
        (_MEASURED, f"peak bytes of a pass, batch {report.batch}", report.peak_bytes),
    ]
    for batch, spread in report.latency.items():
        rows.append((_MEASURED, f"ms per pass, batch {batch}: median (quartiles)", spread))
    if report.accuracy is not None:
        rows.append(
            (_QUALITY, f"accuracy on {report.examples:,} (± standard error)", report.accuracy)
        )
        rows.append((_QUALITY, "macro F1", report.macro_f1))
    return rows


def _show(value: _Value, examples: int) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Spread):
        low, median, high = (f"{1e3 * part:.3g}" for part in (value.low, value.median, value.high))
        return f"{median} ({low} to {high})"
    return f"{100 * value:.2f} % ± {100 * sqrt(value * (1 - value) / examples):.2f}"


def _factor(old: int | Spread, new: int | Spread) -> float | None:
    if isinstance(old, Spread):
        return None if old.overlaps(new) else old.median / new.median
    if old == new:
        return 1.0
    return old / new if new else float("inf")


def _gain(label: str, factor: float | None) -> str:
    if factor is None or factor == 1:
        return "none"
    less, more = ("faster", "slower") if label.startswith("ms ") else ("less", "more")
    return f"{factor:.2f}× {less}" if factor > 1 else f"{1 / factor:.2f}× {more}"


def _points(old: float, new: float) -> str:
    return "none" if old == new else f"{100 * (new - old):+.2f} points"


def _note(*reports: Report) -> str:
    skipped = sorted({name for report in reports for name in report.uncounted})
    return f"MACs leave out biases{''.join(f', {name}' for name in skipped)}."
