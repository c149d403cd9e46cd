"""The records that `measure` returns: one report, or two side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, sqrt
from typing import NamedTuple

from pruneedu.tables import Table, as_html, as_text
from pruneedu.timing import SpeedUp, Spread

_THEORETICAL, _MEASURED, _QUALITY = "Theoretical", "Measured", "Quality"


@dataclass(frozen=True, repr=False)
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

        The latencies were measured one after the other, so a machine that slowed down between
        the two can look like a gain, although none is reported where the quartile ranges
        overlap. `compare` and `compare_latency` time two models in turn.

        Raises:
            ValueError: measured at another batch size, on another device, or on other data.
        """
        for name in ("device", "batch", "examples"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise ValueError(
                    f"{self.name} has {name} {mine} and {other.name} has {name} {theirs}; "
                    "expected the same: measure both with one example, data and machine"
                )
        return Comparison(before=other, after=self)

    def __repr__(self) -> str:
        """Return the report as aligned text."""
        return as_text(self._table())

    def _repr_html_(self) -> str:
        return as_html(self._table())

    def _table(self) -> Table:
        rows = [(row.group, (row.label, row.shown)) for row in _rows(self)]
        return Table(f"{self.name} on {self.device}", ("", self.name), rows, [_note(self)])


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two reports side by side; `before` is the one compared with.

    `speedups` holds the two models' timings in turn, by batch size, where there are any. Without
    them a latency's gain is judged by the two reports: none where their quartile ranges overlap.
    """

    before: Report
    after: Report
    speedups: dict[int, SpeedUp] = field(default_factory=dict)

    def gains(self) -> dict[str, float | None]:
        """Return before / after by row; None for a latency whose change is within the noise."""
        return {old.label: self._factor(old, new) for old, new in self._pairs() if not old.quality}

    def __repr__(self) -> str:
        """Return the comparison as aligned text."""
        return as_text(self._table())

    def _repr_html_(self) -> str:
        return as_html(self._table())

    def _pairs(self) -> list[tuple[_Row, _Row]]:
        return list(zip(_rows(self.before), _rows(self.after), strict=True))

    def _factor(self, old: _Row, new: _Row) -> float | None:
        if isinstance(old.value, Spread):
            speedup = self.speedups.get(old.batch)
            if speedup is not None:
                return None if speedup.within_noise else speedup.ratio.median
            return None if old.value.overlaps(new.value) else old.value.median / new.value.median
        if old.value == new.value:
            return 1.0
        return old.value / new.value if new.value else inf

    def _gain(self, old: _Row, new: _Row) -> str:
        if old.quality:
            return f"{100 * (new.value - old.value):+.2f} points"
        factor = self._factor(old, new)
        if factor is None or factor == 1:
            return "none"
        better, worse = ("faster", "slower") if old.batch else ("smaller", "larger")
        return f"{factor:.2f}× {better}" if factor > 1 else f"{1 / factor:.2f}× {worse}"

    def _table(self) -> Table:
        names = (self.before.name, self.after.name)
        rows = [
            (old.group, (old.label, old.shown, new.shown, self._gain(old, new)))
            for old, new in self._pairs()
        ]
        noise = "A latency's gain is none where the quartiles of the two overlap."
        if self.speedups:
            noise = "The two were timed in turn; no gain where the ratio's quartiles hold 1."
        return Table(
            f"{names[1]} versus {names[0]} on {self.after.device}",
            ("", *names, "gain"),
            rows,
            [_note(self.before, self.after), noise],
        )


class _Row(NamedTuple):
    group: str
    label: str
    value: int | float | Spread
    shown: str
    batch: int = 0  # of a latency

    @property
    def quality(self) -> bool:
        return self.group == _QUALITY


def _rows(report: Report) -> list[_Row]:
    counts = [
        (_THEORETICAL, "parameters", report.parameters),
        (_THEORETICAL, "nonzero parameters", report.nonzeros),
        (_THEORETICAL, "bytes packed (nonzeros and positions)", report.packed_bytes),
        (_THEORETICAL, "MACs per example", report.macs),
        (_MEASURED, "bytes in memory (weights, buffers)", report.dense_bytes),
        (_MEASURED, "bytes on disk (safetensors)", report.disk_bytes),
        (_MEASURED, "bytes on disk, deflated", report.deflated_bytes),
        (_MEASURED, f"peak bytes of a pass, batch {report.batch}", report.peak_bytes),
    ]
    rows = [_Row(*count, shown=f"{count[-1]:,}") for count in counts]
    rows += [_latency_row(batch, spread) for batch, spread in report.latency.items()]
    return rows + ([] if report.accuracy is None else _quality_rows(report))


def _latency_row(batch: int, spread: Spread) -> _Row:
    low, median, high = (f"{1e3 * part:.3g}" for part in (spread.low, spread.median, spread.high))
    label = f"ms per pass, batch {batch}: median (quartiles)"
    return _Row(_MEASURED, label, spread, f"{median} ({low} to {high})", batch)


def _quality_rows(report: Report) -> list[_Row]:
    right, f1 = report.accuracy, report.macro_f1
    error = sqrt(right * (1 - right) / report.examples)
    label = f"accuracy on {report.examples:,} (± standard error)"
    return [
        _Row(_QUALITY, label, right, f"{100 * right:.2f} % ± {100 * error:.2f}"),
        _Row(_QUALITY, "macro F1", f1, f"{100 * f1:.2f} %"),
    ]


def _note(*reports: Report) -> str:
    skipped = sorted({name for report in reports for name in report.uncounted})
    return f"MACs leave out biases{''.join(f', {name}' for name in skipped)}."
