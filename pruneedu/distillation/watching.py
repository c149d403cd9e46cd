"""Watch a module at work: what it puts out while its network answers."""

from __future__ import annotations

from torch import Tensor, nn

from pruneedu.pruning.passes import tapped


class Watched(nn.Module):
    """A student that gives away what one of its modules puts out, while it trains.

    In training mode `forward` returns (logits, adapt(features)), in eval mode the logits alone.
    The student itself is `watched.model`. Masks of a pruned student go to it:
    ``after_step=lambda watched: apply_masks_(watched.model, masks)``.

    Args:
        model: maps x to logits; names of its parameters get "model." in front.
        layer: the name of one of its modules.
        adapt: turns its features into the shape of the teacher's, and trains with the student: a
            Linear layer or a convolution of size 1, say. After training it is thrown away.

    Raises:
        ValueError: a name that the model does not have.

    >>> import torch
    >>> student = Watched(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)), "0", nn.Linear(3, 7))
    >>> [tuple(output.shape) for output in student(torch.ones(5, 4))]
    [(5, 2), (5, 7)]
    >>> student.eval()(torch.ones(5, 4)).shape
    torch.Size([5, 2])
    """

    def __init__(self, model: nn.Module, layer: str, adapt: nn.Module | None = None):
        """Keep the three; `adapt` is the identity where there is none."""
        super().__init__()
        module_named(model, layer)
        self.model, self.layer, self.adapt = model, layer, adapt or nn.Identity()

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the logits and, in training mode, the adapted features."""
        if not self.training:
            return self.model(x)
        logits, features = watch(self.model, self.layer, x)
        return logits, self.adapt(features)


def watch(model: nn.Module, layer: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a model puts out for x, and what its module `layer` does on the way.

    Raises:
        ValueError: a name that the model does not have, a module that runs twice or not at all.

    >>> import torch
    >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> [tuple(seen.shape) for seen in watch(model, "1", torch.ones(5, 4))]
    [(5, 2), (5, 3)]
    """
    with tapped({layer: module_named(model, layer)}) as seen:
        logits = model(x)
    return logits, seen[layer]


def module_named(model: nn.Module, layer: str) -> nn.Module:
    """Return the module of a model that has this name.

    >>> module_named(nn.Sequential(nn.ReLU()), "1")
    Traceback (most recent call last):
    ValueError: this model has no module '1': its modules are '0'
    """
    modules = dict(model.named_modules())
    if layer not in modules:
        known = ", ".join(repr(name) for name in modules if name)
        raise ValueError(f"this model has no module {layer!r}: its modules are {known}")
    return modules[layer]
