"""Functions that a case hands to a learner's function: sent by name, bound to plain options."""

import copy
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pruneedu.evaluation import accuracy, macro_f1
from pruneedu.pruning.criteria import magnitude, random
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


TOOLS = {
    "accuracy": accuracy,
    "cross_entropy": F.cross_entropy,
    "macro_f1": macro_f1,
    "magnitude": magnitude,
    "random": random,
    "signed": signed,
    "sgd_steps": sgd_steps,
}


def bind(name: str, **options) -> Callable:
    """Return the tool of that name with its options bound.

    >>> bind("random", seed=3).keywords
    {'seed': 3}
    """
    if name not in TOOLS:
        raise ValueError(f"there is no tool {name!r}; the tools are {', '.join(TOOLS)}")
    return partial(TOOLS[name], **options)
