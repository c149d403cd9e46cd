"""Criteria for a network that has not been trained: which connections can training do without?"""

from __future__ import annotations

import copy

import torch
from torch import nn

from pruneedu.data import Split
from pruneedu.pruning.backward import Loss, hessian_product, mean_gradients
from pruneedu.pruning.criteria.loss_change import taylor
from pruneedu.pruning.passes import as_scores, scoring
from pruneedu.tensors import Scores, prunable


def snip(
    model: nn.Module,
    data: Split,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 128,
) -> Scores:
    """Score each connection by its share of what the loss would change without it.

    score = |w · ∂L/∂w| / Σ |w · ∂L/∂w|, the sum over all weights of the network

    It is `taylor` of a network with its first weights, on a few examples of each class.

    Args, Raises: as in `taylor`.

    Returns:
        Weight-level scores; all of them sum to 1.

    Source: Lee et al., "SNIP: single-shot network pruning based on connection sensitivity", 2019.

    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 2)
    >>> _ = nn.init.ones_(model.fc1.weight), nn.init.zeros_(model.fc1.bias)
    >>> snip(model, Split(torch.tensor([[1.0, 3.0]]), torch.tensor([0])))
    {'fc1.weight': tensor([[0.1250, 0.3750],
            [0.1250, 0.3750]])}
    """
    scores = taylor(model, data, loss, batch_size)
    total = sum(score.sum() for score in scores.values())
    return {name: score / total for name, score in scores.items()}


def grasp(
    model: nn.Module,
    data: Split,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 128,
) -> Scores:
    """Score each connection by the gradient flow that would be lost without it.

    score = w · (H g), g = ∂L/∂w and H the Hessian of the mean loss L

    Without w, the squared norm ‖g‖² changes by -2 w · (H g), to first order. A high score says that
    the gradient, and with it the speed of learning, would shrink: keep. A negative one says that
    it would grow. The paper scores with the other sign, and removes the highest.

    Args:
        model: the network to score; it is not changed.
        data: x [N, …] and y [N]; it is read twice, for g and for H g, so that g is that of all
            examples whatever the batch size.
        loss: a function of logits [B, classes] and y [B], the mean over its rows.
        batch_size: examples at a time.

    Returns:
        Weight-level scores, of either sign.

    Raises:
        ValueError: no examples or no labels, NaN or infinity, or a layer without any gradient.

    Source: Wang et al., "Picking winning tickets before training by preserving gradient flow",
    2020.

    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 2)
    >>> _ = nn.init.zeros_(model.fc1.bias)
    >>> _ = model.fc1.weight.data.copy_(torch.tensor([[2.0, 1.0], [2.0, 1.0]]))
    >>> grasp(model, Split(torch.tensor([[1.0, 1.0]]), torch.tensor([0])))
    {'fc1.weight': tensor([[-1.0000, -0.5000],
            [ 1.0000,  0.5000]])}
    """
    with scoring(model, data):
        gradients = mean_gradients(model, data, loss, batch_size)
        flows = hessian_product(model, data, loss, gradients, batch_size)
        return as_scores({name: w * flows[name] for name, w in prunable(model).items()}, model)


def synflow(model: nn.Module, shape: tuple[int, ...]) -> Scores:
    """Score each connection by the flow through all paths that use it, without any data.

    score = |w| · ∂R/∂|w|, R the sum of the outputs for an input of ones, with each parameter θ
    replaced by |θ|

    In a ReLU network, R is the sum over all paths to an output of the product of their weights.
    Without biases, which start paths of their own, the scores of each layer sum to R. So the fewer
    weights a layer has left, the higher they score, and rounds of scoring and pruning never empty
    it. One cut does not see them rise: use `prune_iteratively` with `iterative(sparsity, 100)`.

    Args:
        model: the network to score; it is not changed. Normalisations are scored as new: the
            statistics that they gathered are data.
        shape: the shape of one example, such as (1, 28, 28).

    Returns:
        Weight-level scores in float64: a product over many layers can leave float32's range.

    Raises:
        ValueError: a layer through which nothing flows, as one that is all zero.

    Source: Tanaka et al., "Pruning neural networks without any data by iteratively conserving
    synaptic flow", 2020.

    >>> from functools import partial
    >>> from pruneedu.pruning import iterative, prune_iteratively
    >>> layers = nn.Linear(20, 20, bias=False), nn.ReLU(), nn.Linear(20, 2, bias=False)
    >>> model, untouched = nn.Sequential(*layers), lambda model, after_step: model
    >>> for schedule in [0.95], iterative(0.95, 100):
    ...     _, masks = prune_iteratively(model, partial(synflow, shape=(20,)), schedule, untouched)
    ...     print({name: mask.any().item() for name, mask in masks.items()})
    {'0.weight': False, '2.weight': True}
    {'0.weight': True, '2.weight': True}
    """
    flow = copy.deepcopy(model).double()
    for module in flow.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.reset_running_stats()
    weights = prunable(flow)
    ones = Split(torch.ones(1, *shape).to(next(flow.parameters())), None)
    with scoring(flow, ones, labels=False):
        for parameter in flow.parameters():
            parameter.abs_()
        flows = mean_gradients(flow, ones, lambda outputs, _: outputs.sum(), batch_size=1)
        return as_scores({name: weights[name] * flows[name] for name in weights}, flow)
