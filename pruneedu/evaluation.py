"""Measure what a model predicts: accuracy, macro F1, and the loop that applies a metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pruneedu.data import Split

Metric = Callable[[Tensor, Tensor], float]


def accuracy(logits: Tensor, y: Tensor) -> float:
    """Fraction of the rows whose largest logit is the label's.

    ``accuracy = mean(argmax_c logits[i, c] == y[i])``

    Args:
        logits: [N, C] floats, one column per class; probabilities serve as well.
        y: [N] labels, integers in 0 … C - 1.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: no rows, shapes that do not fit, a label that is no class, a NaN.

    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]]), torch.tensor([0, 1, 1]))
    0.6666666666666666
    """
    _check_predictions(logits, y)
    return (logits.argmax(1) == y).sum().item() / len(y)


def macro_f1(logits: Tensor, y: Tensor) -> float:
    """Mean over the classes of F1, so that a rare class counts as much as a frequent one.

    ``F1_c = 2 TP_c / (predicted_c + labelled_c)``, averaged over the classes that occur among
    the labels or the predictions.

    Args:
        logits: [N, C] floats, one column per class.
        y: [N] labels, integers in 0 … C - 1.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: as for :func:`accuracy`.

    A model that always answers 0 is right 3 times in 4, and still knows only one of two classes:

    >>> always_0 = torch.tensor([[1.0, 0.0]] * 4)
    >>> round(macro_f1(always_0, torch.tensor([0, 0, 0, 1])), 4)
    0.4286

    Paper: Opitz and Burst, "Macro F1 and Macro F1", 2019 (this is their averaged F1).
    """
    _check_predictions(logits, y)
    classes = logits.shape[1]
    guesses = logits.argmax(1)
    hits = torch.bincount(y[guesses == y], minlength=classes)
    occurrences = torch.bincount(guesses, minlength=classes) + torch.bincount(y, minlength=classes)
    present = occurrences > 0
    return (2 * hits[present] / occurrences[present].double()).mean().item()


def evaluate(
    model: nn.Module, split: Split, metric: Metric = accuracy, batch_size: int = 1024
) -> float:
    """Apply a metric to all predictions of a model, in eval mode and without gradients.

    Args:
        model: maps x to logits [N, C]; on the device of the data. Each module is left in the
            mode it was in, also after an error.
        split: x [N, …] and y [N].
        metric: a function of (logits [N, C], y [N]).
        batch_size: rows per forward pass; it changes the memory needed, not the result.

    Returns:
        What the metric returns.

    Raises:
        ValueError: an empty split, x and y of different lengths, data on another device.

    >>> split = Split(x=torch.eye(4), y=torch.tensor([0, 1, 2, 0]))
    >>> evaluate(nn.Identity(), split)
    0.75
    """
    check_split(split, model)
    with eval_mode(model), torch.no_grad():
        logits = torch.cat([model(x) for x in split.x.split(batch_size)])
    return metric(logits, split.y)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[nn.Module]:
    """Put a model in eval mode; give each of its modules its own mode back at the end.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    >>> with eval_mode(model):
    ...     print(model.training, model[1].training)
    False False
    >>> model.training, model[1].training
    (True, True)
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield model
    finally:
        for module, mode in modes:
            module.training = mode


def check_split(split: Split, model: nn.Module) -> None:
    """Raise ValueError unless a split has as many rows in x as in y, some, on the model's device.

    >>> check_split(Split(x=torch.ones(3, 2), y=torch.ones(2)), nn.Linear(2, 2))
    Traceback (most recent call last):
    ValueError: the split has 3 rows in x and 2 labels in y; it needs one label per row
    """
    rows, labels = len(split.x), len(split.y)
    if rows != labels:
        raise ValueError(
            f"the split has {rows} rows in x and {labels} labels in y; it needs one label per row"
        )
    if rows == 0:
        raise ValueError("the split is empty; it needs at least one row")
    devices = {str(tensor.device) for tensor in (split.x, split.y, *model.parameters())}
    if len(devices) > 1:
        raise ValueError(
            f"the model and the data lie on different devices ({', '.join(sorted(devices))}); "
            "load the data with load(name, device=...) or move the model with model.to(...)"
        )


def _check_predictions(logits: Tensor, y: Tensor) -> None:
    if logits.ndim != 2 or y.ndim != 1 or len(logits) != len(y) or len(y) == 0:
        raise ValueError(
            f"logits have shape {list(logits.shape)} and y has shape {list(y.shape)}; "
            "expected [N, C] and [N] with the same N > 0"
        )
    if y.is_floating_point() or y.min() < 0 or y.max() >= logits.shape[1]:
        raise ValueError(
            f"y holds {y.dtype} labels from {y.min().item()} to {y.max().item()}; "
            f"expected integers from 0 to {logits.shape[1] - 1}, one per column of the logits"
        )
    if logits.isnan().any():
        row = logits.isnan().any(1).nonzero()[0].item()
        raise ValueError(
            f"logits[{row}] holds a NaN, so it predicts no class; look for it in the weights first"
        )
