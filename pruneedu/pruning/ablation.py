"""Ablation: take out each unit, layer or weight in turn, and see what the network loses."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from pruneedu.data import Split
from pruneedu.evaluation import Metric, accuracy, evaluate
from pruneedu.pruning.passes import as_scores, scoring, summed, unit_modules, unit_outputs
from pruneedu.tensors import Scores, check_scores, prunable_layers, weight_name

_NETWORKS = 64  # that see a batch together: more would compute less twice, but take more memory


def ablation(
    model: nn.Module,
    data: Split,
    metric: Metric = accuracy,
    level: str = "unit",
    batch_size: int = 32,
) -> Scores:
    """Score each unit, layer or weight by the share of the performance that is lost without it.

    score = (P − P_without) / |P|

    This measures what other criteria estimate. Without a unit means that its output, after
    normalisation and activation, is 0. A negative score says that the network does better without.

    Args:
        model: the network to score; it is not changed.
        data: x [N, …] and y [N].
        metric: a function of logits [N, classes] and y [N], higher where the network is better; a
            loss needs a minus.
        level: "unit", "layer", or "weight", which takes one network for each weight.
        batch_size: examples at a time; up to 64 ablated networks see them together.

    Returns:
        Scores at that level. Each unit of the last layer is a class.

    Raises:
        ValueError: no examples or no labels, a performance of 0, another level, NaN or infinity, a
            layer that no example reaches.

    Source: Morcos et al., "On the importance of single directions for generalization", 2018.

    Each unit is a class here, and each of two examples needs another one:

    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 2)
    >>> _ = model.fc1.weight.data.copy_(torch.tensor([[2.0, 0.0], [0.0, -1.0]]))
    >>> _ = model.fc1.bias.data.copy_(torch.tensor([1.0, 2.0]))
    >>> ablation(model, Split(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])))
    {'fc1': tensor([0.5000, 0.5000])}
    """
    with scoring(model, data):
        check_reached(model, data, batch_size)
        performance = float(evaluate(model, data, metric))
        if performance == 0:
            raise ValueError(
                "the performance of the whole network is 0, so no share of it can be lost: "
                "train the network first, or choose another metric"
            )

        def lost(logits):
            return (performance - float(metric(logits, data.y))) / abs(performance)

        return without_each(model, data, lost, level, batch_size)


def without_each(
    model: nn.Module,
    data: Split,
    statistic: Callable[[Tensor], float],
    level: str,
    batch_size: int,
) -> Scores:
    """Return a statistic of the logits that the network gives without each unit, layer or weight.

    The ablated networks see a batch together: what comes before the gap is computed once for all.

    Args:
        model: the network, in eval mode.
        data: x [N, …]; y is not read.
        statistic: a function of the logits [N, classes] of one ablated network.
        level: "unit", "layer" or "weight".
        batch_size: examples at a time; up to 64 ablated networks see them together.

    Raises:
        ValueError: another level, or a statistic that is NaN or infinite.

    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 3).requires_grad_(False)
    >>> ones = Split(torch.ones(4, 2), None)
    >>> without_each(model, ones, lambda logits: logits.abs().sum(), "layer", batch_size=8)
    {'fc1': tensor(0.)}
    """
    if level not in ("unit", "layer", "weight"):
        raise ValueError(f"level is {level!r}: choose 'unit', 'layer' or 'weight'")
    found = {}
    for name, layer in prunable_layers(model).items():
        key = weight_name(name) if level == "weight" else name
        shape = {"unit": layer.weight.shape[:1], "layer": (), "weight": layer.weight.shape}[level]
        forward = vmap(_FORWARD[level](model, name), in_dims=(0, None))
        values = []
        for gaps in torch.arange(math.prod(shape), device=data.x.device).split(_NETWORKS):
            logits = torch.cat([forward(gaps, x) for x in data.x.split(batch_size)], dim=1)
            values += [float(statistic(one)) for one in logits]
        found[key] = torch.tensor(values, dtype=torch.float64).to(layer.weight).reshape(shape)
    check_scores(found)
    return found


def check_reached(model: nn.Module, data: Split, batch_size: int) -> None:
    """Raise ValueError and name the layer whose units put out NaN or infinity, or nothing but 0."""

    def size(batch):
        return {n: out.abs().sum((0, 2)) for n, out in unit_outputs(model, batch.x).items()}

    as_scores(summed(size, data, batch_size), model)


def _without_weight(model: nn.Module, name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the forward pass of (i, x) in which weight i of a layer, in row-major order, is 0."""
    weight = model.get_submodule(name).weight
    places = torch.arange(weight.numel(), device=weight.device).view_as(weight)
    return lambda i, x: functional_call(model, {weight_name(name): weight * (places != i)}, (x,))


def _without_unit(model: nn.Module, name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the forward pass of (j, x) in which the output of unit j of a layer is 0."""
    layer, speaker = model.get_submodule(name), unit_modules(model)[name]
    units = torch.arange(len(layer.weight), device=layer.weight.device)

    def silence(j, inputs, output):
        positions = 0 if isinstance(layer, nn.Linear) else output.ndim - 2
        return output * (units != j).view(-1, *[1] * positions)

    def subtract(j, inputs, output):
        return (
            output - inputs[0].index_select(-1, j[None]) * reader.weight.index_select(1, j[None]).T
        )

    # A Linear layer that reads the unit loses one product, which is far less than all of them.
    if reader := _reader(model, speaker):
        return _hooked(model, reader, subtract)
    return _hooked(model, speaker, silence)


def _without_layer(model: nn.Module, name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the forward pass of (0, x) in which the output of a layer is 0."""
    speaker = unit_modules(model)[name]
    return _hooked(model, speaker, lambda zero, inputs, output: output * zero)


_FORWARD = {"unit": _without_unit, "layer": _without_layer, "weight": _without_weight}


def _hooked(model: nn.Module, module: nn.Module, change: Callable) -> Callable:
    """Return the forward pass of (i, x) in which `change(i, inputs, output)` replaces an output."""

    def forward(i, x):
        handle = module.register_forward_hook(lambda _, *seen: change(i, *seen))
        try:
            return model(x)
        finally:
            handle.remove()

    return forward


def _reader(model: nn.Module, speaker: nn.Module) -> nn.Linear | None:
    """Return the Linear layer that alone reads the output of a module, where that is certain."""
    modules = list(model.children()) if type(model) is nn.Sequential else []
    after = modules[modules.index(speaker) + 1 :] if speaker in modules else []
    return after[0] if after and type(after[0]) is nn.Linear else None
