"""From a network to what its file holds, and from a file to a fresh network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

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
            `Quantized` with the integers of a weight. They are stored in its place, so they decode
            to its numbers: `quantize` or `share` the network first. All other tensors are stored as
            they are, without their zeros where that is shorter.
        plan: plain data for whoever rebuilds the network, such as the ranks of its layers.

    Returns:
        The contents, in the order of the state dict.

    Raises:
        TypeError: a part that is none. ValueError: a part that does not decode to the model's
            tensor of its name, or NaN or infinity.

    >>> from pruneedu.models import mlp
    >>> contents = contents_of(mlp(4, 2))
    >>> list(contents.tensors), contents.architecture
    (['fc1.weight', 'fc1.bias'], ('mlp', {'sizes': (4, 2)}))
    """
    state, parts = model.state_dict(), parts or {}
    for name in parts:
        if name not in state:
            known = ", ".join(map(repr, state)) or "none"
            raise ValueError(
                f"this model has no tensor {name!r} to store a part for: it has {known}"
            )
    tensors = {}
    for name, tensor in state.items():
        try:
            tensors[name] = parts[name] if name in parts else Plain(tensor)
        except ValueError as error:
            raise ValueError(f"{name!r} cannot be stored: {error}") from error
    contents = Contents(tensors, getattr(model, "architecture", None), plan or {})
    for name in parts:
        _check_same(name, tensors[name].dense(), state[name])
    return contents


def _check_same(name: str, part: Tensor, tensor: Tensor) -> None:
    """Raise unless a part stands for a tensor of the model, number by number."""
    if (part.dtype, part.shape) != (tensor.dtype, tensor.shape):
        raise ValueError(
            f"the part {name!r} decodes to {part.dtype} of shape {tuple(part.shape)}, but the "
            f"model's is {tensor.dtype} of shape {tuple(tensor.shape)}: give a part like that"
        )
    if wrong := int((part.to(tensor.device) != tensor).sum()):
        raise ValueError(
            f"the part {name!r} decodes to {wrong} numbers of {tensor.numel()} that the model does "
            "not have: give the network that has them, such as `quantize` or `share` returns"
        )


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
        TypeError: no contents. ValueError: no architecture and no model, tensors that do not fit,
            or a dtype that would be rounded to the network's, as float64 is to float32.

    >>> from pruneedu.models import mlp
    >>> model = mlp(4, 2)
    >>> fresh = network(contents_of(model))
    >>> bool((fresh.fc1.weight == model.fc1.weight).all())
    True
    """
    if not isinstance(contents, Contents):
        raise TypeError(
            f"the contents are a {type(contents).__name__}: give what decode(data) returns"
        )
    if model is None:
        if contents.architecture is None:
            raise ValueError(
                "the file names no network that can be built, as after a rewrite such as "
                "`factorize`: build it in Python, and fill it with network(decode(data), model)"
            )
        name, config = contents.architecture
        model = models.build(name, **config)
    state = {name: part.dense() for name, part in contents.tensors.items()}
    _check_fits(state, model.state_dict())
    model.load_state_dict(state)
    return model.eval()


def _check_fits(state: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Raise unless a file has the tensors of a network, in dtypes that lose nothing in it."""
    for name in expected | state:
        found, wanted = (
            f"of shape {tuple(tensors[name].shape)}" if name in tensors else "missing"
            for tensors in (state, expected)
        )
        if found != wanted:
            raise ValueError(
                f"the tensors do not fit the network: {name!r} is {found} in the file and {wanted} "
                "in the network; give network(contents, model) the model that was stored"
            )
        given, dtype = state[name].dtype, expected[name].dtype
        if torch.promote_types(given, dtype) != dtype:  # Loading would round it.
            raise ValueError(
                f"{name!r} is {given} in the file but {dtype} in the network: build one "
                "with that dtype, such as model.double(), and fill it with network(contents, model)"
            )
