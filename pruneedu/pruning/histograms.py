"""Histograms: what each unit says, counted in bins of equal width and by class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pruneedu.data import Split
from pruneedu.pruning.passes import batches, summed, unit_outputs


def histograms(
    model: nn.Module, data: Split, bins: int, positions: str, batch_size: int
) -> dict[str, Tensor]:
    """Count the activations of each unit by bin and by class.

    The first of two passes finds the least and the greatest value of each unit. A value at an edge
    counts in the upper bin, the greatest value in the last one, as in `numpy.histogram`.

    Args:
        model: the network, in eval mode.
        data: x [N, …] and y [N].
        bins: the number of bins, at least 2, from the least to the greatest value of a unit.
        positions: "mean", one value for each example, the mean over all positions; or "each".
        batch_size: examples at a time.

    Returns:
        "fc1" -> counts [units, bins, classes], float64; each unit's sum is the number of values.

    Raises:
        ValueError: too few bins, other positions, NaN or infinity.

    >>> from pruneedu.models import mlp
    >>> model = mlp(1, 1)
    >>> _ = nn.init.ones_(model.fc1.weight), nn.init.zeros_(model.fc1.bias)
    >>> _ = model.eval().requires_grad_(False)
    >>> data = Split(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([0, 0, 1]))
    >>> histograms(model, data, bins=2, positions="mean", batch_size=2)["fc1"][0]
    tensor([[1., 0.],
            [1., 1.]], dtype=torch.float64)
    """
    if not isinstance(bins, int) or bins < 2:
        raise ValueError(f"bins is {bins}; give a whole number of at least 2")
    if positions not in ("mean", "each"):
        raise ValueError(f"positions is {positions!r}: choose 'mean' or 'each'")
    ends: dict[str, Tensor] = {}
    for batch in batches(data, batch_size):
        for name, values in _values(model, batch.x, positions).items():
            values = torch.cat([ends.get(name, values[:, :0]), values], 1)
            ends[name] = torch.stack(values.aminmax(dim=1), 1)
    edges = {name: _edges(low_high, bins) for name, low_high in ends.items()}
    classes = int(data.y.max()) + 1

    def count(batch):
        values = _values(model, batch.x, positions)
        return {name: _count(values[name], edges[name], batch.y, classes) for name in values}

    return summed(count, data, batch_size)


def _values(model: nn.Module, x: Tensor, positions: str) -> dict[str, Tensor]:
    """Return the values of each unit: [units, B], or [units, B · positions], as float64."""
    outputs = unit_outputs(model, x).items()
    kept = {name: a.mean(2, keepdim=True) if positions == "mean" else a for name, a in outputs}
    return {name: a.double().movedim(1, 0).flatten(1).contiguous() for name, a in kept.items()}


def _edges(ends: Tensor, bins: int) -> Tensor:
    """Return the edges [units, bins + 1] between the ends [units, 2] of each unit's range.

    >>> _edges(torch.tensor([[0.0, 1.0]]), bins=4)
    tensor([[0.0000, 0.2500, 0.5000, 0.7500, 1.0000]])
    """
    low, high = ends[:, :1], ends[:, 1:]
    steps = torch.arange(bins, device=ends.device) * ((high - low) / bins)
    return torch.cat([low + steps, high], 1)  # Rounding must not leave the greatest value outside.


def _count(values: Tensor, edges: Tensor, y: Tensor, classes: int) -> Tensor:
    """Count values [units, …] of examples with labels [B]: [units, bins, classes]."""
    units, bins = len(edges), edges.shape[1] - 1
    within = (torch.searchsorted(edges, values, right=True) - 1).clamp(0, bins - 1)
    labels = y.repeat_interleave(values.shape[1] // len(y))
    first = bins * torch.arange(units, device=y.device)[:, None]
    cells = (first + within) * classes + labels
    return cells.flatten().bincount(minlength=units * bins * classes).view(units, bins, classes)
