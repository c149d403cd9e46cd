"""Passes over data while a model is scored: what goes into its layers and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pruneedu.data import Split
from pruneedu.evaluation import check_split, eval_mode
from pruneedu.pruning.masks import following_norm
from pruneedu.regularization import ACTIVATIONS
from pruneedu.tensors import Scores, check_scores, layer_name, prunable_layers


@contextmanager
def scoring(model: nn.Module, data: Split, labels: bool = True) -> Iterator[None]:
    """Check the data and hold a model in eval mode while it is scored, also through an error.

    Nothing is recorded for a backward pass; `torch.func.grad` and `torch.enable_grad` still work.

    Args:
        model: the network; each of its modules gets its own mode back at the end.
        data: x [N, …] and y [N].
        labels: whether the criterion reads y; without, y may be None.

    Raises:
        ValueError: no examples, no labels where they are needed, data on another device.

    >>> from pruneedu.models import mlp
    >>> with scoring(mlp(2, 2), Split(torch.ones(3, 2), None)):
    ...     pass
    Traceback (most recent call last):
    ValueError: this criterion reads the labels, but the data has none: give Split(x, y)
    """
    if data.y is None and labels:
        raise ValueError("this criterion reads the labels, but the data has none: give Split(x, y)")
    check_split(data if labels else Split(data.x, data.x), model)
    with eval_mode(model), torch.no_grad():
        yield


def batches(data: Split, batch_size: int) -> Iterator[Split]:
    """Yield the data in order, a few examples at a time.

    Raises:
        ValueError: a batch size that is not a positive integer.

    >>> [len(batch.x) for batch in batches(Split(torch.ones(5, 2), None), batch_size=2)]
    [2, 2, 1]
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; give a whole number of at least 1")
    for start in range(0, len(data.x), batch_size):
        rows = slice(start, start + batch_size)
        yield Split(data.x[rows], None if data.y is None else data.y[rows])


def summed(
    statistic: Callable[[Split], Mapping[str, Tensor]], data: Split, batch_size: int
) -> dict[str, Tensor]:
    """Sum a statistic of batches in float64, so that the batch size does not change the sum.

    total[name] = Σ over batches of statistic(batch)[name]

    Args:
        statistic: turns a batch into tensors that are sums over its examples.
        data: x [N, …], and y [N] or None.
        batch_size: examples at a time.

    Raises:
        ValueError: a batch size that is not a positive integer.

    >>> ones = Split(torch.ones(5, 2), None)
    >>> summed(lambda batch: {"sum": batch.x.sum(0)}, ones, batch_size=2)
    {'sum': tensor([5., 5.], dtype=torch.float64)}
    """
    totals: dict[str, Tensor] = {}
    for batch in batches(data, batch_size):
        for name, value in statistic(batch).items():
            totals[name] = totals.get(name, 0) + value.double()
    return totals


@contextmanager
def tapped(modules: Mapping[str, nn.Module], side: str = "output") -> Iterator[dict[str, Tensor]]:
    """Yield a dict in which one forward pass leaves what goes into or comes out of each module.

    Args:
        modules: name -> module.
        side: "input" or "output".

    Raises:
        ValueError: a module that runs more than once, so that its units would be taken for
            others, or not at all.

    >>> layer = nn.Linear(2, 3)
    >>> with tapped({"fc1": layer}) as seen:
    ...     _ = layer(torch.ones(4, 2))
    >>> seen["fc1"].shape
    torch.Size([4, 3])
    """
    seen: dict[str, Tensor] = {}

    def recorder(name):
        def record(module, inputs, output):
            if name in seen:
                raise ValueError(
                    f"the {type(module).__name__} of layer {name!r} runs more than once in a "
                    "forward pass: give each layer a module of its own"
                )
            # Copies, so that an in-place ReLU does not change what was seen.
            seen[name] = inputs[0].clone() if side == "input" else output
            return None if side == "input" else output.clone()

        return record

    handles = [module.register_forward_hook(recorder(n)) for n, module in modules.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
    for name in modules:
        if name not in seen:
            raise ValueError(f"forward does not use the layer {name!r}: take it out of the model")


def by_position(output: Tensor, layer: nn.Module) -> Tensor:
    """Return the output of a layer as [N, units, positions]; a Linear layer often has one position.

    >>> by_position(torch.ones(4, 3), nn.Linear(2, 3)).shape
    torch.Size([4, 3, 1])
    >>> by_position(torch.ones(4, 3, 5, 5), nn.Conv2d(1, 3, 1)).shape
    torch.Size([4, 3, 25])
    """
    units = -1 if isinstance(layer, nn.Linear) else 1
    output = output.movedim(units, 1)
    return output.reshape(*output.shape[:2], -1)


def unit_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Return, for each prunable layer, the module after which its units have spoken.

    That is the layer itself, or the batch normalisation and the activation registered right after
    it in the same parent. An activation that `forward` calls as a function is not seen.

    >>> from pruneedu.models import small_cnn
    >>> {name: type(module).__name__ for name, module in unit_modules(small_cnn((4,))).items()}
    {'conv1': 'ReLU', 'fc': 'Linear'}
    """
    return {name: _speaker(model, name, layer) for name, layer in prunable_layers(model).items()}


def _speaker(model: nn.Module, name: str, layer: nn.Module) -> nn.Module:
    speaker = following_norm(model, name) or layer
    siblings = list(model.get_submodule(name.rpartition(".")[0]).children()) if name else []
    after = siblings[siblings.index(speaker) + 1 :] if name else []
    after = [module for module in after if not isinstance(module, nn.Identity)]
    return after[0] if after and isinstance(after[0], ACTIVATIONS) else speaker


def unit_outputs(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return what the units of each prunable layer say: "fc1" -> [B, units, positions].

    Raises:
        ValueError: a layer that puts out NaN or infinity, runs more than once, or is not used.

    >>> from pruneedu.models import mlp
    >>> {
    ...     name: tuple(out.shape)
    ...     for name, out in unit_outputs(mlp(4, 3, 2), torch.ones(5, 4)).items()
    ... }
    {'fc1': (5, 3, 1), 'fc2': (5, 2, 1)}
    """
    with tapped(unit_modules(model)) as outputs:
        model(x)
    for name, output in outputs.items():
        if not output.isfinite().all():
            raise ValueError(
                f"the outputs of {name!r} hold NaN or infinity: look for it in the weights first"
            )
    layers = prunable_layers(model)
    return {name: by_position(outputs[name], layer) for name, layer in layers.items()}


def as_scores(totals: dict[str, Tensor], model: nn.Module) -> Scores:
    """Return totals as scores: finite, in the dtype of their layer's weight, no layer dead.

    Raises:
        ValueError: NaN or infinity, or a layer whose scores are all 0: nothing passes through it.

    >>> from pruneedu.models import mlp
    >>> as_scores({"fc1": torch.zeros(3)}, mlp(4, 3, 2))
    Traceback (most recent call last):
    ValueError: every score of 'fc1' is 0: no example reaches this layer, so nothing ranks it; \
look for a dead activation or a layer that forward does not use
    """
    check_scores(totals)
    layers = prunable_layers(model)
    for name, score in totals.items():
        if not score.any():
            raise ValueError(
                f"every score of {name!r} is 0: no example reaches this layer, so nothing ranks "
                "it; look for a dead activation or a layer that forward does not use"
            )
    return {
        name: score.to((layers.get(name) or layers[layer_name(name)]).weight.dtype)
        for name, score in totals.items()
    }
