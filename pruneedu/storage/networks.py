"""From a network to what its file holds, and from a file to a fresh network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from pruneedu import models
from pruneedu.storage.parts import Contents, Part, Plain


def contents_of(
    model: nn.Module,
    parts: Mapping[str, Part] | None = None,
    plan: dict[str, Any] | None = None,
) -> Contents:
    """Return what the file of a network holds.

    Args:
        model: the network; it is not changed. `model.architecture`, where it has one, goes along.
        parts: for names of its state dict, the plain data that stand for the tensor, such as
            `Quantized` with the integers of a weight. They are stored in its place; all other
            tensors are stored as they are, without their zeros where that is shorter.
        plan: plain data for whoever rebuilds the network, such as the ranks of its layers.

    Returns:
        The contents, in the order of the state dict.

    Raises:
        ValueError: a name or a shape that the state dict does not have, or NaN or infinity.

    >>> from pruneedu.models import mlp
    >>> contents = contents_of(mlp(4, 2))
    >>> list(contents.tensors), contents.architecture
    (['fc1.weight', 'fc1.bias'], ('mlp', {'sizes': (4, 2)}))
    """
    state, parts = model.state_dict(), dict(parts or {})
    for name, part in parts.items():
        if name not in state or part.dense().shape != state[name].shape:
            found = tuple(state[name].shape) if name in state else "not in the state dict"
            raise ValueError(
                f"the part {name!r} has shape {tuple(part.dense().shape)}, but this model's tensor "
                f"is {found}: give parts for entries of the state dict, in their shapes"
            )
    tensors = {}
    for name, tensor in state.items():
        try:
            tensors[name] = parts.get(name) or Plain(tensor)
        except ValueError as error:
            raise ValueError(f"{name!r} cannot be stored: {error}") from error
    return Contents(tensors, getattr(model, "architecture", None), plan or {})


def network(contents: Contents, model: nn.Module | None = None) -> nn.Module:
    """Return a network that has the tensors of a file.

    Args:
        contents: as from `decode`.
        model: where they go; it is changed. None builds a fresh network of the file's
            architecture. Where `contents.plan` asks for a rewrite, apply it before:
            ``factorize(build(name, **config), contents.plan["ranks"])``.

    Returns:
        The network, in eval mode.

    Raises:
        ValueError: no architecture and no model, or tensors that do not fit.

    >>> from pruneedu.models import mlp
    >>> model = mlp(4, 2)
    >>> fresh = network(contents_of(model))
    >>> bool((fresh.fc1.weight == model.fc1.weight).all())
    True
    """
    if model is None:
        if contents.architecture is None:
            raise ValueError("these contents name no architecture: give a model to be filled")
        name, config = contents.architecture
        model = models.build(name, **config)
    try:
        model.load_state_dict({name: part.dense() for name, part in contents.tensors.items()})
    except RuntimeError as error:
        raise ValueError(f"the tensors do not fit the network: {error}") from error
    return model.eval()
