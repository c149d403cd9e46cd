"""How long a forward pass takes: a median with its quartiles, and fair comparisons."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pruneedu.evaluation import eval_mode

_WARM_UP = 5  # passes
_SHORTEST = 1e-3  # seconds that one timing lasts, so that the clock's own cost is lost in it


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of a sample.

    >>> Spread.of([1.0, 2.0, 3.0, 4.0, 5.0])
    Spread(low=2.0, median=3.0, high=4.0)
    """

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, sample: list[float]) -> Spread:
        """Summarise a sample by its quartiles, interpolated linearly."""
        shares = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
        return cls(*torch.tensor(sample, dtype=torch.float64).quantile(shares).tolist())

    def overlaps(self, other: Spread) -> bool:
        """Whether two quartile ranges share a value.

        >>> Spread(1.0, 2.0, 3.0).overlaps(Spread(2.9, 4.0, 5.0))
        True
        >>> Spread(1.0, 2.0, 3.0).overlaps(Spread(3.1, 4.0, 5.0))
        False
        """
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class SpeedUp:
    """How many times faster one model is than another, from ratios of neighbouring timings.

    >>> print(SpeedUp(Spread(1.9, 2.0, 2.2)))
    2.00× faster (quartiles 1.90 to 2.20)
    >>> print(SpeedUp(Spread(0.4, 0.5, 0.8)))
    2.00× slower (quartiles 1.25 to 2.50)
    >>> print(SpeedUp(Spread(0.9, 1.01, 1.1)))
    none: within the noise (ratio 1.01, quartiles 0.90 to 1.10)
    """

    ratio: Spread

    @property
    def within_noise(self) -> bool:
        """Whether the quartile range of the ratio holds 1."""
        return self.ratio.low <= 1 <= self.ratio.high

    def __str__(self) -> str:
        """Say the speed-up, or that there is none."""
        low, median, high = self.ratio.low, self.ratio.median, self.ratio.high
        if self.within_noise:
            return f"none: within the noise (ratio {median:.2f}, quartiles {low:.2f} to {high:.2f})"
        if median > 1:
            return f"{median:.2f}× faster (quartiles {low:.2f} to {high:.2f})"
        return f"{1 / median:.2f}× slower (quartiles {1 / high:.2f} to {1 / low:.2f})"


def latency(model: nn.Module, example: Tensor, repeats: int = 30) -> Spread:
    """Seconds of one forward pass, in eval mode and without gradients, after a warm-up.

    Args:
        model: on the device of the example.
        example: a batch [N, …].
        repeats: timings; each takes as many passes as fill a millisecond, one at least. CUDA is
            synchronised around each.

    Returns:
        Median and quartiles of the timings, in seconds per pass.

    Raises:
        ValueError: fewer than 4 repeats.

    >>> spread = latency(nn.Linear(4, 2), torch.ones(8, 4), repeats=5)
    >>> 0 < spread.low <= spread.median <= spread.high
    True
    """
    _check_repeats(repeats)
    with eval_mode(model), torch.no_grad():
        passes = _warm_up(model, example)
        return Spread.of([_seconds(model, example, passes) for _ in range(repeats)])


def compare_latency(
    before: nn.Module, after: nn.Module, example: Tensor, repeats: int = 30
) -> SpeedUp:
    """Time two models in turn and compare neighbouring timings.

    ``ratio_i = seconds_i(before) / seconds_i(after)``

    A machine that slows down half-way slows both alike, so these ratios are fairer than two
    latencies measured one after the other.

    Args:
        before: the model compared with.
        after: the model that should be faster.
        example: a batch [N, …] that both accept, on their device.
        repeats: timings of each model, as for :func:`latency`.

    Returns:
        The median ratio with its quartiles; above 1, `after` is faster.

    Raises:
        ValueError: fewer than 4 repeats.

    >>> wide, narrow = nn.Linear(2000, 2000), nn.Linear(2000, 2)
    >>> compare_latency(wide, narrow, torch.ones(64, 2000)).ratio.median > 1
    True
    """
    _check_repeats(repeats)
    with eval_mode(before), eval_mode(after), torch.no_grad():
        old, new = _warm_up(before, example), _warm_up(after, example)
        ratios = [
            _seconds(before, example, old) / _seconds(after, example, new) for _ in range(repeats)
        ]
    return SpeedUp(Spread.of(ratios))


def _warm_up(model: nn.Module, example: Tensor) -> int:
    for _ in range(_WARM_UP):
        model(example)
    return max(1, round(_SHORTEST / _seconds(model, example, passes=1)))


def _seconds(model: nn.Module, example: Tensor, passes: int) -> float:
    _synchronise(example)
    start = time.perf_counter()
    for _ in range(passes):
        model(example)
    _synchronise(example)
    return (time.perf_counter() - start) / passes


def _synchronise(example: Tensor) -> None:
    if example.is_cuda:
        torch.cuda.synchronize(example.device)


def _check_repeats(repeats: int) -> None:
    if repeats < 4:
        raise ValueError(f"repeats is {repeats}; quartiles need at least 4 timings")
