"""Mixed precision: more bits for the layers that need them, within a number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from pruneedu.checks import check_count
from pruneedu.quantization.calibration import Range
from pruneedu.quantization.rewriting import plan_grids, quantize
from pruneedu.quantization.schemes import symmetric

Table = dict[str, dict[int, float]]


def bit_sensitivity(
    model: nn.Module,
    ranges: dict[str, Range],
    loss: Callable[[nn.Module], float],
    bits: Iterable[int] = range(2, 9),
    scheme: Callable = symmetric,
) -> Table:
    """Measure what each number of bits costs in each layer, the others left in floats.

    Args:
        model: the network; it is not changed.
        ranges: of weights, or of what goes into layers; one is quantized at a time.
        loss: model -> a number, lower is better, on the validation set: what chooses bits must not
            see the test set. It runs once for each range and number of bits.
        bits: the numbers of bits to try, each 2 to 8.
        scheme: lays the grids, as in `plan_grids`.

    Returns:
        name -> bits -> how much the loss rises. Rounding may lower it by chance.

    Source: Wang et al., "HAQ", 2019, chooses bits for each layer; this is the direct measurement.

    >>> layer = nn.Linear(2, 1)
    >>> layer.weight.data = torch.tensor([[3.0, 1.0]])
    >>> ranges = {"weight": Range(torch.tensor(1.0), torch.tensor(3.0))}
    >>> far = lambda model: abs(model.weight[0, 1].item() - 1)
    >>> bit_sensitivity(layer, ranges, far, bits=[2, 3])
    {'weight': {2: 1.0, 3: 0.0}}
    """
    dense, bits = loss(model), list(bits)
    return {
        name: {b: loss(quantize(model, plan_grids({name: one}, b, scheme))) - dense for b in bits}
        for name, one in ranges.items()
    }


def choose_bits(sensitivity: Table, sizes: dict[str, int], budget: int) -> dict[str, int]:
    """Return the bits for each layer that cost least in all and fit into a number of bytes.

    minimise Σ sensitivity[name][bits]  where  Σ ⌈sizes[name] · bits / 8⌉ ≤ budget

    The costs of layers are taken to add up, which is a guess to be measured afterwards. The choice
    itself is exact: layer after layer, whatever is larger than another choice and no better goes.

    Args:
        sensitivity: name -> bits -> cost, as from `bit_sensitivity`.
        sizes: name -> number of weights.
        budget: bytes for the integers of all layers, scales not counted.

    Returns:
        name -> bits; of equal costs the fewest bytes.

    Raises:
        ValueError: names without a size, sizes or bits that are no counts, costs that are not
            finite, or a budget below the least.

    Source: Dong et al., "HAWQ-V2", 2020, chooses on the same front of size and cost.

    >>> costs = {"fc1": {2: 0.3, 4: 0.1}, "fc2": {2: 0.5, 4: 0.0}}
    >>> choose_bits(costs, sizes={"fc1": 100, "fc2": 10}, budget=30)
    {'fc1': 2, 'fc2': 4}
    """
    _check_table(sensitivity, sizes)
    front = [(0, 0.0, {})]
    for name, costs in sensitivity.items():
        choices = [
            (used + packed_bytes(sizes[name], bits), total + cost, {**chosen, name: bits})
            for used, total, chosen in front
            for bits, cost in costs.items()
        ]
        front = _best_for_their_size(choices)
    fitting = [chosen for used, _, chosen in front if used <= budget]
    if not fitting:
        raise ValueError(
            f"the budget is {budget} bytes, but the fewest bits take {front[0][0]}: give at least "
            "that, or prune first"
        )
    return fitting[-1]


def packed_bytes(count: int, bits: int) -> int:
    """Return the bytes that integers take, side by side.

    ⌈count · bits / 8⌉

    Raises:
        ValueError: a count below 0 or bits below 1, or numbers that are not whole.

    >>> packed_bytes(5, bits=3)
    2
    """
    check_count(count, "count", least=0)
    check_count(bits, "bits")
    return -(-count * bits // 8)


def _best_for_their_size(choices: list[tuple]) -> list[tuple]:
    """Return the choices that cost less than all smaller ones, from the smallest to the largest."""
    front: list[tuple] = []
    for choice in sorted(choices, key=lambda choice: choice[:2]):
        if not front or choice[1] < front[-1][1]:
            front.append(choice)
    return front


def _check_table(sensitivity: Table, sizes: dict[str, int]) -> None:
    for name, costs in sensitivity.items():
        if name not in sizes:
            raise ValueError(f"{name!r} has no size: give the number of its weights")
        if not costs or not torch.tensor(list(costs.values())).isfinite().all():
            raise ValueError(
                f"the costs of {name!r} are {costs}: give a finite number for each number of bits"
            )
