"""What the student's layers see, beside what it answers: hints, attention and relations.

`teach(teacher, split, layer)` keeps what a layer of the teacher puts out. `Watched` lets a student
give away a layer of its own while it trains, and `feature_distillation` compares the two:

    taught = teach(teacher, train, "relu2")
    student = Watched(mlp(784, 50, 10), "relu1", adapt=nn.Linear(50, 300))
    loss = partial(feature_distillation, match=hint, strength=1.0)
    student = fit(student, taught, epochs=5, loss=loss).model.model
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import mse_loss, normalize, smooth_l1_loss

from pruneedu.distillation.targets import distillation


def feature_distillation(
    outputs: tuple[Tensor, Tensor],
    y: Tensor,
    match: Callable[[Tensor, Tensor], Tensor],
    strength: float = 1.0,
    temperature: float = 4.0,
    alpha: float = 0.9,
) -> Tensor:
    """Return the loss of distillation, and how far the student's features are from the teacher's.

    ``distillation(z_S, [label, z_T]) + β · match(features_S, features_T)``

    FitNets' first stage is `match` alone: ``loss=lambda outputs, y: hint(outputs[1], y[:, 11:])``.

    Args:
        outputs: what a `Watched` student puts out: logits [B, C] and features [B, …].
        y: [B, 1 + C + F], as ``teach(…, layer)`` makes them.
        match: (features [B, …], the teacher's [B, F]) -> scalar: `hint`, `attention`,
            `relational`.
        strength: β.
        temperature: as in `distillation`.
        alpha: as in `distillation`.

    Returns:
        A scalar.

    Raises:
        ValueError: as in `distillation` and in `match`.

    >>> outputs = torch.tensor([[2.0, 1.0]]), torch.tensor([[0.0, 3.0]])
    >>> y = torch.tensor([[0.0, 2.0, 1.0, 1.0, 3.0]])
    >>> feature_distillation(outputs, y, hint, strength=10.0, alpha=1.0).item()
    5.0
    """
    logits, features = outputs
    width = 1 + logits.shape[1]
    loss = distillation(logits, y[:, :width], temperature, alpha)
    return loss + strength * match(features, y[:, width:])


def hint(features: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared distance of the student's features from the teacher's.

    ``mean (f_S - f_T)²``. FitNets takes half the sum over the entries of an example; with the mean,
    the strength does not depend on the size of the layer.

    Args:
        features: [B, …], as many values for each example as the teacher's: see `Watched`'s adapt.
        target: [B, F], the teacher's features.

    Raises:
        ValueError: another number of examples or of values.

    Source: Romero et al., "FitNets: hints for thin deep nets", 2015.

    >>> hint(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 4.0]])).item()
    2.0
    """
    mine = _rows(features, target)
    _check_widths(mine, target, "adapt the student's features to it")
    return mse_loss(mine, target)


def attention_map(features: Tensor) -> Tensor:
    """Return where a layer is active, whatever its channels say: a vector of length 1.

    ``Q = Σ_c f_c²,  Q / ‖Q‖₂``

    Args:
        features: [B, channels, positions…].

    Returns:
        [B, positions]. It has no channels, so that networks of different width can be compared.

    Raises:
        ValueError: features without positions.

    Source: Zagoruyko and Komodakis, "Paying more attention to attention", 2017.

    >>> attention_map(torch.tensor([[[3.0, 0.0], [0.0, 0.0]]]))
    tensor([[1., 0.]])
    """
    if features.ndim < 3:
        raise ValueError(
            f"features of shape {list(features.shape)} have no positions: choose a convolution"
        )
    return normalize(features.square().sum(1).flatten(1), dim=1)


def attention(features: Tensor, target: Tensor) -> Tensor:
    """Return how far the student looks elsewhere than the teacher.

    ``mean_i ‖Q_S(x_i) - Q_T(x_i)‖²``

    Args:
        features: [B, channels, positions…], the student's.
        target: [B, positions], from ``teach(teacher, split, layer, summary=attention_map)``.

    Raises:
        ValueError: another number of examples or of positions.

    Source: Zagoruyko and Komodakis, "Paying more attention to attention", 2017.

    >>> attention(torch.tensor([[[3.0, 0.0]]]), torch.tensor([[0.0, 1.0]])).item()
    2.0
    """
    found = _rows(attention_map(features), target)
    _check_widths(found, target, "teach with summary=attention_map, and pair layers of one size")
    return (found - target).square().sum(1).mean()


def relational(features: Tensor, target: Tensor) -> Tensor:
    """Return how far the distances between examples differ from those that the teacher sees.

    ``mean_ij huber(d_S(i, j) / μ_S, d_T(i, j) / μ_T)``, with d the distance of two examples of the
    batch, μ the mean of all d, and huber(a, b) = (a - b)²/2 where that is at most 1/2, else
    |a - b| - 1/2

    Only relations count, so the two layers need not have the same width.

    Args:
        features: [B, …], the student's.
        target: [B, F], the teacher's.

    Returns:
        A scalar; a batch of one example has no relations, and 0.

    Raises:
        ValueError: another number of examples.

    Source: Park et al., "Relational knowledge distillation", 2019 (distance-wise).

    >>> relational(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[5.0], [7.0], [9.0]])).item()
    0.0
    """
    mine, theirs = (_relative_distances(rows) for rows in (_rows(features, target), target))
    if not len(mine):
        return features.sum() * 0
    return smooth_l1_loss(mine, theirs)


def _rows(features: Tensor, target: Tensor) -> Tensor:
    """Return features [B, …] as rows, or raise unless the target has as many, not empty."""
    if features.ndim < 2 or target.ndim != 2 or len(features) != len(target) or not target.numel():
        raise ValueError(
            f"the student's features are {list(features.shape)} and the teacher's "
            f"{list(target.shape)}: both need a row for each example, from teach(…, layer)"
        )
    return features.flatten(1)


def _relative_distances(rows: Tensor) -> Tensor:
    """Return the distance of each pair of rows, divided by the mean of all."""
    distances = torch.pdist(rows)
    return distances / distances.mean().clamp_min(torch.finfo(rows.dtype).tiny)


def _check_widths(found: Tensor, target: Tensor, advice: str) -> None:
    if found.shape != target.shape:
        raise ValueError(
            f"the student has {found.shape[1]} values for each example and the teacher "
            f"{target.shape[1]}: {advice}"
        )
