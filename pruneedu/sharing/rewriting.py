"""The rewrite: weights as their codebooks say, and the training of what the codebooks hold."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from pruneedu.sharing.codebooks import Codebook, check_names
from pruneedu.sharing.product import ProductCodebook
from pruneedu.tensors import layer_name, prunable

Plan = Mapping[str, Codebook | ProductCodebook]


def share(model: nn.Module, plan: Plan) -> nn.Module:
    """Return a copy of the model whose weights are what their codebooks say.

    ``w_i ← c[label_i]``

    Args:
        model: the network; it is not changed.
        plan: weight name -> codebook. Weights not named stay.

    Returns:
        A new model with the same keys, shapes and mode.

    Raises:
        TypeError, ValueError: no mapping to codebooks, a name that the model does not have, labels
            that do not fit the weight, or a number that is not finite.

    Source: Han et al., "Deep compression", 2016.

    >>> from pruneedu.models import mlp
    >>> from pruneedu.sharing import codebooks
    >>> model = mlp(20, 10, 2)
    >>> len(share(model, codebooks(model, clusters=4)).fc1.weight.unique())
    4
    """
    shared = copy.deepcopy(model)
    weights = prunable(shared)
    check_names(plan, weights)
    with torch.no_grad():
        for name, book in plan.items():
            weight = weights[name]
            if not isinstance(weight, nn.Parameter):
                raise ValueError(
                    f"{name!r} is computed, so a codebook would not last: "
                    "remove its parametrization first"
                )
            if not isinstance(book, Codebook | ProductCodebook):
                kind = type(book).__name__
                raise TypeError(f"the codebook of {name!r} is of type {kind}: give a Codebook")
            try:
                book.check(weight.shape)
            except ValueError as error:
                raise ValueError(f"the codebook of {name!r} does not fit: {error}") from error
            weight.copy_(book.decoded())
    return shared


def finetune_codebooks(
    model: nn.Module, plan: Plan, finetune: Callable[[nn.Module], nn.Module]
) -> tuple[nn.Module, dict[str, Codebook | ProductCodebook]]:
    """Train the numbers in the codebooks, with the labels as they are.

    ``∂L/∂c_j = Σ over the weights i with label j of ∂L/∂w_i``

    While it trains, each weight of the plan is computed from its codebook, which is the parameter;
    biases and all other layers train as usual. The entry 0 of pruned weights stays 0.

    Args:
        model: the network; it is not changed.
        plan: weight name -> codebook.
        finetune: model -> trained model, such as ``lambda model: fit(model, train, 3).model``.

    Returns:
        The trained network, with plain weights again, and its plan.

    Raises:
        TypeError, ValueError: as in `share`, a weight that two layers have in common, or a
            `finetune` that gives back another network.

    Source: Han et al., "Deep compression", 2016.

    >>> from pruneedu.models import mlp
    >>> from pruneedu.sharing import codebooks
    >>> model = mlp(4, 3, 2)
    >>> tuned, plan = finetune_codebooks(model, codebooks(model, 3), finetune=copy.deepcopy)
    >>> torch.equal(tuned.fc1.weight, plan["fc1.weight"].decoded())
    True
    """
    tied = share(model, plan)
    for name, book in plan.items():
        layer = tied.get_submodule(layer_name(name))
        owners = [
            m for m in tied.modules() if any(p is layer.weight for p in m._parameters.values())
        ]
        if len(owners) > 1:
            raise ValueError(
                f"{name!r} is the weight of {len(owners)} layers, which would learn two codebooks: "
                "give each layer a weight of its own"
            )
        parametrize.register_parametrization(layer, "weight", _Shared(book))
    tied, trained = finetune(tied), {}
    for name, book in plan.items():
        layer = tied.get_submodule(layer_name(name))
        if not parametrize.is_parametrized(layer, "weight"):
            raise ValueError(f"finetune gave back a network without the codebook of {name!r}")
        values = layer.parametrizations.weight.original.detach().clone()
        trained[name] = book._replace(values=values)
        parametrize.remove_parametrizations(layer, "weight")
    # Removing has moved the weights behind the biases; the copy has them in their old order.
    tuned = copy.deepcopy(model).train(tied.training)
    tuned.load_state_dict(tied.state_dict())
    return tuned, trained


class _Shared(nn.Module):
    """The weight as a function of the codebook's values, which are the parameter in its place."""

    def __init__(self, book: Codebook | ProductCodebook):
        super().__init__()
        self.book = book._replace(labels=None)
        self.register_buffer("labels", book.labels)

    def forward(self, values: Tensor) -> Tensor:
        return self.book._replace(values=values, labels=self.labels).decoded()

    def right_inverse(self, weight: Tensor) -> Tensor:
        return self.book.values.clone()
