"""Which rank for each layer: by energy, by a budget of weights, by what the network still scores.

A matrix of m × n numbers becomes two of m × r and r × n: r·(m + n) numbers. That is less only below
the break-even rank m·n / (m + n).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from pruneedu.checks import check_count, check_floats
from pruneedu.lowrank.factors import Method, by_channel, truncated_svd
from pruneedu.lowrank.rewriting import factorize, method_for, obstacle
from pruneedu.tensors import prunable_layers


def break_even(rows: int, columns: int) -> float:
    """Return the rank below which two factors hold fewer numbers than their matrix.

    ``r · (m + n) = m · n``, so ``r = m · n / (m + n)``

    Raises:
        ValueError: rows or columns below 1.

    Half the rank of a square matrix saves nothing:

    >>> break_even(500, 500)
    250.0
    """
    check_count(rows, "rows")
    check_count(columns, "columns")
    return rows * columns / (rows + columns)


def matrices(
    model: nn.Module, unfold: Callable[[Tensor], Tensor] = by_channel
) -> dict[str, Tensor]:
    """Return the weight of each Linear and Conv layer as the matrix that a method approximates.

    Args:
        model: stays as it is.
        unfold: how a convolution becomes a matrix: `by_channel`, `by_space` or `by_input`.

    Returns:
        Layer name -> [m, n]. Delete the layers that are to stay as they are. The statistic to plot
        is `torch.linalg.svdvals` of each: how fast it falls says how low a rank will do.

    Raises:
        ValueError: a convolution that does not unfold this way.

    >>> from pruneedu.models import lenet5
    >>> {name: tuple(matrix.shape) for name, matrix in matrices(lenet5()).items()}
    {'conv1': (20, 25), 'conv2': (50, 500), 'fc1': (500, 800), 'fc2': (10, 500)}
    """
    weights = {name: layer.weight.detach() for name, layer in prunable_layers(model).items()}
    return {name: unfold(w) if w.ndim > 2 else w for name, w in weights.items()}


def ranks_by_energy(matrices: Mapping[str, Tensor], energy: float) -> dict[str, int]:
    """Return the smallest rank of each layer that keeps a share of its energy.

    ``min r with Σ_{i ≤ r} σ_i² ≥ energy · Σ_i σ_i²``; the sum of all σ_i² is that of all w².

    Args:
        matrices: layer name -> [m, n].
        energy: the share of the squared singular values to keep, above 0 and at most 1.

    Returns:
        Layer name -> rank. It may lie above the break-even rank, where `factorize` refuses it.

    Raises:
        TypeError, ValueError: an energy outside (0, 1], or what is no matrix of finite floats.

    >>> ranks_by_energy({"fc1": torch.diag(torch.tensor([3.0, 2.0, 1.0]))}, energy=0.9)
    {'fc1': 2}
    """
    if not 0 < energy <= 1:
        raise ValueError(f"energy is {energy}: give a share above 0 and at most 1")
    ranks = {}
    for name, energies in _energies(matrices).items():
        kept = energies.cumsum(0)
        ranks[name] = int((kept < energy * kept[-1]).sum()) + 1
    return ranks


def ranks_by_budget(matrices: Mapping[str, Tensor], weights: int) -> dict[str, int]:
    """Return the ranks that keep the most energy with so many weights in all factors together.

    Each layer starts with rank 1. The next singular value is always the one that keeps the largest
    share of its layer's energy for each weight it costs, ``σ_i² / Σ_j σ_j² / (m + n)``. It is taken
    if its layer stays below the break-even rank and all ``r · (m + n)`` within the budget.

    Args:
        matrices: layer name -> [m, n]; only the layers that are to be factorized.
        weights: the most numbers that the factors of these layers may hold together.

    Returns:
        Layer name -> rank.

    Raises:
        TypeError, ValueError: a budget that does not even pay for rank 1, a layer so thin that no
            rank saves anything, or what is no matrix of finite floats.

    >>> steep, flat = torch.tensor([9.0, 1, 1, 1, 1, 1]), torch.tensor([5.0, 4, 4, 4, 4, 4])
    >>> ranks_by_budget({"fc1": steep.diag(), "fc2": flat.diag()}, weights=36)
    {'fc1': 1, 'fc2': 2}
    """
    energies_of = _energies(matrices)
    costs = {name: sum(matrix.shape) for name, matrix in matrices.items()}
    ranks, left = dict.fromkeys(matrices, 1), weights - sum(costs.values())
    if not left >= 0:
        raise ValueError(
            f"a budget of {weights:,} weights does not pay for rank 1 in each layer: "
            f"give at least {sum(costs.values()):,}"
        )
    steps = []
    for name, energies in energies_of.items():
        largest = _largest(name, *matrices[name].shape)
        shares = energies / energies.sum().clamp_min(1e-300) / costs[name]
        steps += [(share, name) for share in shares[1:largest].tolist()]
    for _, name in sorted(steps, key=lambda step: -step[0]):
        if costs[name] <= left:
            ranks[name], left = ranks[name] + 1, left - costs[name]
    return ranks


def ranks_by_score(
    model: nn.Module,
    score: Callable[[nn.Module], float],
    drop: float,
    conv: Method = truncated_svd,
) -> dict[str, int]:
    """Return low ranks with which the whole network scores at most `drop` less.

    From the input on, layer i of n takes the smallest rank that keeps the score of the network,
    with all layers before it factorized, at ``score(model) - drop · i / n`` or more. The smallest
    is found by bisection; a score may fall where the rank rises, and then a smaller one is missed.

    Args:
        model: the trained network; it stays as it is.
        score: model -> number, such as ``partial(evaluate, split=data.validation)``.
        drop: how much of the score may go, at least 0.
        conv: as in `factorize`, a method with one rank.

    Returns:
        Layer name -> rank. Left out are layers that `factorize` refuses at any rank, with groups
        or a weight that serves twice, and those of which no rank below break-even will do.

    Raises:
        ValueError: a drop below 0, or a score of the model that is NaN or infinite.

    >>> layer = nn.Linear(6, 6, bias=False)
    >>> layer.weight.data = torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.0, 0.0, 0.0]))
    >>> trace = lambda model: model(torch.eye(6)).trace().item()
    >>> ranks_by_score(nn.Sequential(layer), trace, drop=1.5)
    {'0': 2}
    """
    if not drop >= 0:
        raise ValueError(f"drop is {drop}: give a number of at least 0")
    ranks, before, layers = {}, score(model), prunable_layers(model)
    if not math.isfinite(before):
        raise ValueError(f"the model scores {before}: give a score that is a finite number")
    for i, (name, layer) in enumerate(layers.items(), 1):
        floor = before - drop * i / len(layers)
        low, beyond = 1, 1 if obstacle(model, layer) else _first_that_saves_nothing(layer, conv)
        high = beyond
        while low < high:
            rank = (low + high) // 2
            enough = score(factorize(model, {**ranks, name: rank}, conv)) >= floor
            low, high = (low, rank) if enough else (rank + 1, high)
        if low < beyond:
            ranks[name] = low
    return ranks


def _energies(matrices: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return σ_i² of each matrix, the largest first, in float64."""
    for name, matrix in matrices.items():
        check_floats(matrix, f"the matrix of {name!r}", axes=2)
        if matrix.ndim > 2:
            raise ValueError(
                f"the matrix of {name!r} has shape {tuple(matrix.shape)}: unfold it to two axes, "
                "as matrices(model) does"
            )
    return {name: torch.linalg.svdvals(m.double()).square() for name, m in matrices.items()}


def _largest(name: str, rows: int, columns: int) -> int:
    """Return the largest rank below break-even."""
    largest = math.ceil(break_even(rows, columns)) - 1
    if not largest:
        raise ValueError(
            f"no rank of {name!r} saves anything: its matrix is {rows} × {columns}, "
            f"with break-even at rank {round(break_even(rows, columns), 2):g}; leave it out"
        )
    return largest


def _first_that_saves_nothing(layer: nn.Module, conv: Method) -> int:
    """Return the lowest rank at or above break-even; factors hold rank times those of rank 1."""
    weight = layer.weight.detach()
    return math.ceil(weight.numel() / sum(f.numel() for f in method_for(layer, conv)(weight, 1)))
