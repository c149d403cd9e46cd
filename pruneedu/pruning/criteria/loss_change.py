"""Criteria that expand the loss: how much would it change without this weight or unit?"""

from __future__ import annotations

from torch import nn

from pruneedu.data import Split
from pruneedu.pruning.backward import Loss, mean_gradients, output_gradients
from pruneedu.pruning.criteria.gradients import gradient
from pruneedu.pruning.passes import as_scores, by_position, scoring, summed, unit_modules
from pruneedu.tensors import Scores, prunable, prunable_layers


def taylor(
    model: nn.Module,
    data: Split,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 128,
) -> Scores:
    """Score each weight by the change of the mean loss without it, to first order.

    score = |w · ∂L/∂w|, L = 1/N Σ_i L_i

    Args:
        model: the network to score; it is not changed.
        data: x [N, …] and y [N].
        loss: a function of logits [B, classes] and y [B], the mean over its rows.
        batch_size: examples at a time.

    Returns:
        Weight-level scores, each with the shape of its weight.

    Raises:
        ValueError: no examples or no labels, NaN or infinity, or a layer without any gradient.

    Source: Molchanov et al., "Importance estimation for neural network pruning", 2019; their score
    is the square, which ranks weights alike.

    >>> import torch
    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 2)
    >>> _ = nn.init.ones_(model.fc1.weight), nn.init.zeros_(model.fc1.bias)
    >>> taylor(model, Split(torch.tensor([[1.0, 2.0]]), torch.tensor([0])))
    {'fc1.weight': tensor([[0.5000, 1.0000],
            [0.5000, 1.0000]])}
    """
    with scoring(model, data):
        gradients = mean_gradients(model, data, loss, batch_size)
        scores = {name: (w * gradients[name]).abs() for name, w in prunable(model).items()}
        return as_scores(scores, model)


def taylor_units(
    model: nn.Module,
    data: Split,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 128,
) -> Scores:
    """Score each unit by the change of each example's loss without its output, to first order.

    score = 1/N Σ_i |1/M Σ_m z_im · ∂L_i/∂z_im|, m = 1 … M the positions of the unit's output

    The positions of an image are averaged with their signs, since a unit goes at all of them at
    once; the examples are averaged without, since a gain on one does not make up for a loss on
    another. The mean over positions is smaller for a large map, so the paper divides the scores of
    each layer by their L2 norm before it ranks the layers together.

    Args:
        model: the network to score; it is not changed.
        data: x [N, …] and y [N].
        loss: a function of logits [B, classes] and y [B], the mean over its rows.
        batch_size: examples at a time.

    Returns:
        Unit-level scores, at the output z after normalisation and activation. Those of the last
        layer are the classes: take it out of the dict before selecting.

    Raises:
        ValueError: no examples or no labels, NaN or infinity, or a layer without any gradient.

    Source: Molchanov et al., "Pruning convolutional neural networks for resource efficient
    inference", 2017.

    >>> import torch
    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 2)
    >>> _ = nn.init.ones_(model.fc1.weight), nn.init.zeros_(model.fc1.bias)
    >>> taylor_units(model, Split(torch.tensor([[1.0, 2.0]]), torch.tensor([0])))
    {'fc1': tensor([1.5000, 1.5000])}
    """
    layers, modules = prunable_layers(model), unit_modules(model)

    def changes(batch):
        pulls = output_gradients(model, modules, batch, loss)
        effects = {name: by_position(z * dz, layers[name]) for name, (z, dz) in pulls.items()}
        return {name: effect.mean(2).abs().sum(0) for name, effect in effects.items()}

    with scoring(model, data):
        totals = summed(changes, data, batch_size)
        return as_scores({name: total / len(data.x) for name, total in totals.items()}, model)


def fisher(
    model: nn.Module,
    data: Split,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 128,
) -> Scores:
    """Score each weight by the change of the loss without it, to second order at a minimum.

    score = w² · 1/N Σ_i (∂L_i/∂w)²

    At a minimum the first order vanishes, and the second is ½ w² times the Hessian's diagonal. The
    mean of the squared gradients, the diagonal of the empirical Fisher information, stands in for
    that diagonal. The factor ½ is left out: it changes no rank.

    Args:
        model: the network to score; it is not changed.
        data: x [N, …] and y [N].
        loss: a function of logits [B, classes] and y [B], the mean over its rows.
        batch_size: examples at a time; each needs a copy of the convolutions' weights in memory.

    Returns:
        Weight-level scores, each with the shape of its weight.

    Raises:
        ValueError: no examples or no labels, NaN or infinity, or a layer without any gradient.

    Sources: LeCun et al., "Optimal brain damage", 1989 (the diagonal); Theis et al., "Faster gaze
    prediction with dense networks and Fisher pruning", 2018 (Fisher information in its place).

    >>> import torch
    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 2)
    >>> _ = nn.init.ones_(model.fc1.weight), nn.init.zeros_(model.fc1.bias)
    >>> fisher(model, Split(torch.tensor([[1.0, 2.0]]), torch.tensor([0])))
    {'fc1.weight': tensor([[0.2500, 1.0000],
            [0.2500, 1.0000]])}
    """
    squares, weights = gradient(model, data, loss, batch_size), prunable(model)
    scores = {name: weights[name].detach() ** 2 * g2 / len(data.x) for name, g2 in squares.items()}
    return as_scores(scores, model)
