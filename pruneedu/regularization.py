"""What pushes weights towards zero during training: penalties, proximal steps and dropout.

Only the weights of Linear and Conv layers count; biases and normalisation layers stay free. A model
without such layers, or a strength that is not a finite number of at least 0, is a ValueError.
Bind the strength with `functools.partial`: `fit(..., penalty=partial(l1, strength=1e-4))`.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from pruneedu.tensors import prunable, prunable_layers

ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU),
    *(nn.Mish, nn.Hardswish, nn.Hardtanh, nn.Softplus, nn.Sigmoid, nn.Tanh),
)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


def l1(model: nn.Module, strength: float) -> Tensor:
    """Penalise the absolute value of each weight.

    ``strength · Σ |w|``; its slope is ``strength · sign(w)``, as steep near zero as far from it.

    Gradient steps with it carry a small weight across zero and back. They set none to exactly
    zero; :func:`proximal_l1_` does.

    Args:
        model: stays as it is.
        strength: loss per unit of weight, at least 0.

    Returns:
        A scalar with a gradient.

    >>> layer = nn.Linear(2, 1)
    >>> layer.weight.data = torch.tensor([[3.0, -4.0]])
    >>> l1(layer, strength=0.5).item()
    3.5

    Paper: Tibshirani, "Regression shrinkage and selection via the lasso", 1996.
    """
    return strength * sum(weight.abs().sum() for weight in _weights(model, strength))


def l2(model: nn.Module, strength: float) -> Tensor:
    """Penalise the square of each weight.

    ``strength · Σ w²``; its slope ``2 · strength · w`` fades near zero, so that weights become
    small and stay different from zero. With SGD it equals ``weight_decay = 2 · strength``, which
    PyTorch applies to the biases as well.

    Args:
        model: stays as it is.
        strength: loss per squared unit of weight, at least 0.

    Returns:
        A scalar with a gradient.

    >>> layer = nn.Linear(2, 1)
    >>> layer.weight.data = torch.tensor([[3.0, -4.0]])
    >>> l2(layer, strength=0.5).item()
    12.5

    Paper: Krogh and Hertz, "A simple weight decay can improve generalization", NIPS 1991.
    """
    return strength * sum(weight.square().sum() for weight in _weights(model, strength))


def group_lasso(model: nn.Module, strength: float) -> Tensor:
    """Penalise the length of each unit's weights, so that whole units fade together.

    ``strength · Σ_u √p_u · ‖w_u‖₂``, where u runs over output neurons and channels, and p_u is the
    number of weights that enter u. The units of the last layer are the classes; they count too.

    Args:
        model: stays as it is.
        strength: loss per unit of length, at least 0.

    Returns:
        A scalar with a gradient; at a unit of zeros the gradient is 0.

    >>> layer = nn.Linear(4, 2)
    >>> layer.weight.data = torch.tensor([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    >>> group_lasso(layer, strength=1.0).item()
    10.0

    Papers: Yuan and Lin, "Model selection and estimation in regression with grouped variables",
    2006; Wen et al., "Learning structured sparsity in deep neural networks", NIPS 2016.
    """
    return strength * sum(
        math.sqrt(weight[0].numel()) * _lengths(weight).sum()
        for weight in _weights(model, strength)
    )


@torch.no_grad()
def proximal_l1_(model: nn.Module, strength: float) -> nn.Module:
    """Move each weight towards zero by `strength`, and no further than zero, in place.

    ``w ← sign(w) · max(|w| - strength, 0)``, the minimiser of ``(v - w)²/2 + strength · |v|``.

    After a step of plain SGD on the loss alone, with ``strength = learning rate · λ``, this makes
    one step of proximal gradient descent on ``loss + λ Σ |w|``. Momentum m makes the steps of the
    gradient 1 / (1 - m) times as long, so ``strength = learning rate · λ / (1 - m)`` goes with it.

    Args:
        model: changed in place; ``fit(..., after_step=partial(proximal_l1_, strength=1e-5))``.
        strength: the threshold, in units of weight, at least 0.

    Returns:
        The model.

    >>> layer = nn.Linear(3, 1)
    >>> layer.weight.data = torch.tensor([[2.0, -0.25, -1.0]])
    >>> proximal_l1_(layer, strength=0.5).weight.tolist()
    [[1.5, 0.0, -0.5]]

    Paper: Daubechies, Defrise and De Mol, "An iterative thresholding algorithm", 2004.
    """
    for weight in _weights(model, strength):
        weight.sub_(weight.clamp(-strength, strength))
    return model


@torch.no_grad()
def proximal_group_lasso_(model: nn.Module, strength: float) -> nn.Module:
    """Shorten the weights of each unit by `strength · √p`; a unit that is shorter becomes zero.

    ``w_u ← w_u · max(1 - strength · √p_u / ‖w_u‖₂, 0)``, the minimiser of
    ``‖v - w_u‖²/2 + strength · √p_u · ‖v‖₂``. A unit goes as a whole; its bias stays.

    Args:
        model: changed in place.
        strength: learning rate times the strength of :func:`group_lasso`, at least 0; divided by
            1 - m where the optimizer has momentum m.

    Returns:
        The model.

    >>> layer = nn.Linear(4, 2)
    >>> layer.weight.data = torch.tensor([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]])
    >>> proximal_group_lasso_(layer, strength=1.25).weight.tolist()
    [[1.5, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]

    Paper: Yuan and Lin, "Model selection and estimation in regression with grouped variables",
    2006.
    """
    for weight in _weights(model, strength):
        lengths = _lengths(weight).clamp_min(torch.finfo(weight.dtype).tiny)
        shares = strength * math.sqrt(weight[0].numel()) / lengths
        weight.sub_(weight * shares.clamp_max(1))
    return model


def with_dropout(model: nn.Module, p: float) -> nn.Module:
    """Copy a model and add dropout after each hidden activation.

    In training, ``a ← a · m / (1 - p)`` with ``m = 0`` at probability p, else 1; in eval mode a
    stays as it is. Dropout has no parameters and takes a new name (``relu1_dropout``), so state
    dicts load in both directions.

    Args:
        model: activations as children of `nn.Sequential`; it stays as it is.
        p: the probability that an activation is set to zero, in [0, 1].

    Returns:
        The new model; in eval mode it computes what the given one does.

    Raises:
        ValueError: p outside [0, 1], a model without hidden activations or with dropout already,
            or an activation outside `nn.Sequential`, where the order of calls is not known.

    >>> from pruneedu.models import mlp
    >>> [name for name, _ in with_dropout(mlp(64, 32, 10), p=0.5).named_children()]
    ['flatten', 'fc1', 'relu1', 'relu1_dropout', 'fc2']

    Paper: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
    JMLR 2014.
    """
    model = copy.deepcopy(model)
    for name in _hidden_activations(model):
        parent_name, _, child = name.rpartition(".")
        parent = model.get_submodule(parent_name)
        if not isinstance(parent, nn.Sequential):
            raise ValueError(
                f"the activation {name} is a child of {type(parent).__name__}, so the order of "
                "calls is not known; make it a child of nn.Sequential, or add nn.Dropout by hand"
            )
        followers = list(parent._modules)[list(parent._modules).index(child) + 1 :]
        parent.add_module(f"{child}_dropout", nn.Dropout(p).train(model.training))
        for follower in followers:
            parent._modules[follower] = parent._modules.pop(follower)
    return model


def _hidden_activations(model: nn.Module) -> list[str]:
    """Name the activations that come before the last layer with weights."""
    modules = dict(model.named_modules(remove_duplicate=False))
    present = [name for name, module in modules.items() if isinstance(module, _DROPOUTS)]
    if present:
        raise ValueError(f"the model has dropout already ({present[0]}); set its p instead")
    names = list(modules)
    last = max((names.index(name) for name in prunable_layers(model)), default=0)
    hidden = [name for name in names[:last] if isinstance(modules[name], ACTIVATIONS)]
    if not hidden:
        kinds = ", ".join(kind.__name__ for kind in ACTIVATIONS)
        raise ValueError(f"the model has no hidden activation; dropout follows one of {kinds}")
    return hidden


def _weights(model: nn.Module, strength: float) -> list[nn.Parameter]:
    if not 0 <= strength < math.inf:
        raise ValueError(f"strength is {strength}; give a finite number of at least 0")
    weights = list(prunable(model).values())
    if not weights:
        raise ValueError("the model has no Linear or Conv layer, so no weight to regularise")
    return weights


def _lengths(weight: Tensor) -> Tensor:
    """Return ‖w_u‖₂ of each output unit u: [out, in, …] -> [out, 1, …]."""
    return torch.linalg.vector_norm(weight, dim=tuple(range(1, weight.ndim)), keepdim=True)
