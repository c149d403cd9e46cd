"""Functions that a case hands to a learner's function: sent by name, bound to plain options."""

import copy
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pruneedu.evaluation import accuracy, macro_f1
from pruneedu.pruning.criteria import magnitude, mutual_information, random, taylor
from pruneedu.tensors import Scores, prunable


def sgd_steps(
    model: nn.Module, after_step: Callable, *, x: Tensor, y: Tensor, steps: int, lr: float
) -> nn.Module:
    """Fine-tune a copy of `model`: `steps` full-batch steps of SGD with momentum 0.9.

    Args:
        model: it is not changed.
        after_step: called with the model after each step.
        x: inputs [n, …].
        y: class numbers [n].

    Returns:
        The fine-tuned copy.
    """
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        after_step(model)
    return model


def signed(model: nn.Module) -> Scores:
    """Score each weight by its value, sign and all: a dropped weight, now 0, is not the lowest."""
    return {name: weight.detach().clone() for name, weight in prunable(model).items()}


def largest_gaps(x: Tensor, y: Tensor, *, count: int) -> list[int]:
    """Return the numbers of the inputs whose means in class 0 and class 1 differ most, in order."""
    gaps = (x[y == 1].mean(0) - x[y == 0].mean(0)).abs()
    return sorted(gaps.argsort(descending=True, stable=True)[:count].tolist())


def log_likelihood(logits: Tensor, y: Tensor) -> float:
    """Return the mean log probability of the right classes: below 0, and higher is better."""
    return -F.cross_entropy(logits, y).item()


def nearest_mean(x_train: Tensor, y_train: Tensor, x: Tensor) -> Tensor:
    """Return the class whose mean is nearest to each row of x."""
    classes = y_train.unique()
    means = torch.stack([x_train[y_train == c].mean(0) for c in classes])
    return classes[torch.cdist(x, means).argmin(1)]


def nearest_example(x_train: Tensor, y_train: Tensor, x: Tensor) -> Tensor:
    """Return the class of the training example that is nearest to each row of x."""
    return y_train[torch.cdist(x, x_train).argmin(1)]


TOOLS = {
    "accuracy": accuracy,
    "amax": torch.amax,
    "cross_entropy": F.cross_entropy,
    "largest_gaps": largest_gaps,
    "log_likelihood": log_likelihood,
    "macro_f1": macro_f1,
    "magnitude": magnitude,
    "mutual_information": mutual_information,
    "nearest_example": nearest_example,
    "nearest_mean": nearest_mean,
    "random": random,
    "signed": signed,
    "sgd_steps": sgd_steps,
    "taylor": taylor,
    "vector_norm": torch.linalg.vector_norm,
}


def bind(name: str, **options) -> Callable:
    """Return the tool of that name with its options bound.

    >>> bind("random", seed=3).keywords
    {'seed': 3}
    """
    if name not in TOOLS:
        raise ValueError(f"there is no tool {name!r}; the tools are {', '.join(TOOLS)}")
    return partial(TOOLS[name], **options)
