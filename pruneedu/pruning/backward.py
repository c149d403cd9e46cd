"""Backward passes while a model is scored: how the examples pull at its outputs and weights.

A loss is a function of logits [B, classes] and y [B] that is the plain mean over its rows, so that
times B it is the sum of what each example loses on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from pruneedu.data import Split
from pruneedu.pruning.passes import summed, tapped
from pruneedu.tensors import prunable, prunable_layers, weight_name

Loss = Callable[[Tensor, Tensor], Tensor]


def output_gradients(
    model: nn.Module, modules: Mapping[str, nn.Module], batch: Split, loss: Loss
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return what modules put out, and the gradient of each example's own loss with respect to it.

    δ[i] = ∂ loss(model(x_i), y_i) / ∂ output[i]

    Args:
        model: the network, in eval mode; its parameters and their gradients are not touched.
        modules: name -> module.
        batch: x [B, …] and y [B].
        loss: the mean over its rows.

    Returns:
        name -> (output [B, …], δ of the same shape).

    >>> layer = nn.Linear(2, 2)
    >>> batch = Split(torch.ones(4, 2), torch.tensor([0, 1, 0, 1]))
    >>> pick = lambda logits, y: logits.gather(1, y[:, None]).mean()
    >>> output_gradients(layer, {"fc1": layer}, batch, pick)["fc1"][1][:2]
    tensor([[1., 0.],
            [0., 1.]])
    """
    with torch.enable_grad(), tapped(modules) as outputs:
        # Through x, the outputs of a frozen network have a gradient too.
        logits = model(batch.x.detach().requires_grad_())
        total = loss(logits, batch.y) * len(batch.x)
    deltas = torch.autograd.grad(total, list(outputs.values()), materialize_grads=True)
    found = dict(zip(outputs, deltas, strict=True))
    return {name: (outputs[name].detach(), found[name]) for name in modules}


def example_sums(
    model: nn.Module, batch: Split, loss: Loss, size: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """Return the sum over the examples of the sizes of their own gradients.

    Σ_i size(g_i), g_i = ∂ loss(model(x_i), y_i) / ∂w

    Args:
        model: the network, in eval mode; its parameters and their gradients are not touched.
        batch: x [B, …] and y [B].
        loss: the mean over its rows.
        size: `torch.square` or `torch.abs`: the size of a product is the product of the sizes.

    Returns:
        "fc1.weight" -> a tensor of the weight's shape.

    >>> from pruneedu.models import mlp
    >>> batch = Split(torch.tensor([[1.0, 2.0], [-3.0, 0.0]]), None)
    >>> example_sums(mlp(2, 1), batch, lambda logits, y: logits.mean(), torch.abs)
    {'fc1.weight': tensor([[4., 2.]])}
    """
    layers = prunable_layers(model)
    with tapped(layers, side="input") as inputs:
        pulls = output_gradients(model, layers, batch, loss)
    return {
        weight_name(name): _sum_of_sizes(layer, inputs[name].detach(), pulls[name][1], size)
        for name, layer in layers.items()
    }


def _sum_of_sizes(
    layer: nn.Module, x: Tensor, delta: Tensor, size: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return Σ_i size(g_i) for one layer, from what goes in and the gradient of what comes out."""
    if isinstance(layer, nn.Linear) and x.ndim == 2:
        # g_i = δ_i x_iᵀ, so the sum of the sizes is one matrix product, and no g_i is needed.
        return size(delta).T @ size(x)

    def pull(weight, x, delta):
        return (functional_call(layer, {"weight": weight}, (x[None],)) * delta).sum()

    gradients = vmap(grad(pull), in_dims=(None, 0, 0))(layer.weight.detach(), x, delta)
    return size(gradients).sum(0)


def mean_gradients(model: nn.Module, data: Split, loss: Loss, batch_size: int) -> dict[str, Tensor]:
    """Return the gradient of the mean loss with respect to each prunable weight, in float64.

    g = 1/N Σ_i ∂ loss(model(x_i), y_i) / ∂w

    Args:
        model: the network, in eval mode; its parameters and their gradients are not touched.
        data: x [N, …] and y [N].
        loss: the mean over its rows.
        batch_size: examples at a time.

    >>> from pruneedu.models import mlp
    >>> data = Split(torch.ones(5, 2), torch.zeros(5, dtype=torch.int64))
    >>> mean_gradients(mlp(2, 3), data, nn.functional.cross_entropy, 2)["fc1.weight"].shape
    torch.Size([3, 2])
    """
    return _mean(grad, model, data, loss, batch_size)


def hessian_product(
    model: nn.Module, data: Split, loss: Loss, vector: dict[str, Tensor], batch_size: int
) -> dict[str, Tensor]:
    """Return the product of the mean loss's Hessian and a vector over the prunable weights.

    H v = ∂/∂w ⟨g, v⟩, g the gradient of the mean loss; H itself is never formed.

    Args:
        model, data, loss, batch_size: as in `mean_gradients`.
        vector: v, with the names and shapes of the weights.

    Returns:
        H v, with the names and shapes of the weights, in float64.

    >>> layer, data = nn.Linear(2, 1), Split(torch.tensor([[1.0, 2.0]]), None)
    >>> square = lambda outputs, y: outputs.square().mean()
    >>> hessian_product(layer, data, square, {"weight": torch.tensor([[1.0, 0.0]])}, 1)
    {'weight': tensor([[2., 4.]], dtype=torch.float64)}
    """
    vector = {name: vector[name].to(weight) for name, weight in prunable(model).items()}

    def derivative(function):
        def slope_along_vector(weights):
            return sum((g * vector[name]).sum() for name, g in grad(function)(weights).items())

        return grad(slope_along_vector)

    return _mean(derivative, model, data, loss, batch_size)


def _mean(derivative: Callable, model, data, loss, batch_size) -> dict[str, Tensor]:
    """Return the mean over all examples of a derivative of their loss as a function of weights."""
    weights = {name: weight.detach() for name, weight in prunable(model).items()}

    def total(batch):
        def total_loss(weights):
            return loss(functional_call(model, weights, (batch.x,)), batch.y) * len(batch.x)

        return derivative(total_loss)(weights)

    with torch.no_grad():
        totals = summed(total, data, batch_size)
    return {name: t / len(data.x) for name, t in totals.items()}
