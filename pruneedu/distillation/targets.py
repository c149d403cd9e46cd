"""Soft targets: a student learns what the teacher says of each example, not only its label.

The teacher speaks once, before training: `teach` writes its logits beside the labels. From then on
distillation is a loss like any other, and every student goes through `fit`: one designed by hand,
one that is pruned (with its masks as `after_step`), quantized or shared (with its parametrization).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from pruneedu.checks import check_count
from pruneedu.data import Split
from pruneedu.distillation.watching import watch
from pruneedu.evaluation import check_split, eval_mode


def teach(
    teacher: nn.Module,
    split: Split,
    layer: str | None = None,
    summary: Callable[[Tensor], Tensor] | None = None,
    batch_size: int = 1024,
) -> Split:
    """Return the split with what the teacher says of each example beside its label.

    ``y_i = [label_i, z_T(x_i)]``, or ``[label_i, z_T(x_i), summary(features(x_i))]``

    Args:
        teacher: maps x to logits [N, C]; it is used in eval mode, once, and left as it was.
        split: x [N, …] and labels y [N]. Copies that were augmented count as examples.
        layer: the name of a module of the teacher whose outputs are wanted too, as a target for
            `hint`, `attention` or `relational`.
        summary: outputs [B, …] -> what of them to keep [B, …], such as `attention_map`; None keeps
            all of them.
        batch_size: rows in a forward pass; it changes the memory needed, not the result.

    Returns:
        The same x, and y as floats [N, 1 + C] or [N, 1 + C + values of the summary].

    Raises:
        ValueError: labels that are no class numbers [N], an unknown layer, a batch size that is no
            count, outputs that are no logits [N, C] or not finite.

    Source: Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015.

    >>> taught = teach(nn.Identity(), Split(torch.tensor([[3.0, -1.0]]), torch.tensor([0])))
    >>> taught.y
    tensor([[ 0.,  3., -1.]])
    """
    check_split(split, teacher)
    check_count(batch_size, "batch_size")
    if split.y.ndim != 1 or split.y.is_floating_point():
        shape = tuple(split.y.shape)
        raise ValueError(f"y is {split.y.dtype} of shape {shape}: teach a split with labels [N]")
    with eval_mode(teacher), torch.no_grad():
        rows = [_says(teacher, x, layer, summary) for x in split.x.split(batch_size)]
    said, classes = torch.cat([torch.cat(row, dim=1) for row in rows]), rows[0][0].shape[1]
    if split.y.min() < 0 or split.y.max() >= classes:
        raise ValueError(
            f"labels run from {split.y.min()} to {split.y.max()}, but the teacher has {classes} "
            "classes, counted from 0"
        )
    if not said.isfinite().all():
        raise ValueError("the teacher's outputs hold NaN or infinity: look for it in its weights")
    return Split(split.x, torch.cat([split.y[:, None].to(said), said], dim=1))


def soft_targets(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return how far the student's softened probabilities are from the teacher's.

    ``T² · mean_i KL(softmax(z_T / T) ‖ softmax(z_S / T))``

    A high temperature shows how the teacher ranks the wrong classes. The gradient of the divergence
    falls as 1/T², so T² keeps its weight beside a loss of the labels.

    Args:
        logits: z_S [B, C], the student's.
        teacher: z_T [B, C].
        temperature: T, above 0.

    Returns:
        A scalar, at least 0; NaN where the logits hold NaN, which `fit` refuses.

    Raises:
        ValueError: a temperature that is not above 0 and finite, an empty batch, or shapes that
            differ.

    Source: Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015.

    >>> logits = torch.tensor([[2.0, 1.0]])
    >>> soft_targets(logits, logits, temperature=4.0).item()
    0.0
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature is {temperature}: give a finite number above 0")
    # The numbers themselves are not looked at: that would make a GPU wait at each step.
    if logits.shape != teacher.shape or logits.ndim != 2 or not logits.numel():
        raise ValueError(
            f"the student's logits are {list(logits.shape)} and the teacher's "
            f"{list(teacher.shape)}: both need a row for each example and a column for each class"
        )
    student, teacher = (log_softmax(z / temperature, dim=1) for z in (logits, teacher))
    return temperature**2 * kl_div(student, teacher, log_target=True, reduction="batchmean")


def distillation(logits: Tensor, y: Tensor, temperature: float = 4.0, alpha: float = 0.9) -> Tensor:
    """Return the loss of a student that listens to its teacher and to the labels.

    ``α · T² · KL(softmax(z_T / T) ‖ softmax(z_S / T)) + (1 - α) · cross-entropy(z_S, label)``

    ``fit(student, teach(teacher, train), epochs, loss=partial(distillation, temperature=2.0))``

    Args:
        logits: z_S [B, C], the student's.
        y: [B, 1 + C], as `teach` makes them.
        temperature: T, above 0.
        alpha: α, the share of the teacher, in [0, 1].

    Returns:
        A scalar.

    Raises:
        ValueError: an alpha outside [0, 1], a temperature that is not above 0, y without logits.

    Source: Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015.

    >>> y = torch.tensor([[0.0, 2.0, 1.0]])
    >>> distillation(torch.tensor([[2.0, 1.0]]), y, alpha=1.0).item()
    0.0
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}: give the teacher's share, from 0 to 1")
    if y.ndim != 2:
        raise ValueError(
            f"y has shape {list(y.shape)}, without a teacher's logits: train on teach(…)"
        )
    soft = soft_targets(logits, y[:, 1:], temperature)
    return alpha * soft + (1 - alpha) * cross_entropy(logits, y[:, 0].long())


def born_again(
    teacher: nn.Module,
    train: Split,
    generations: int,
    student: Callable[[Split, int], nn.Module],
) -> list[nn.Module]:
    """Return a line of networks, each of which learned from the one before: self-distillation.

    Args:
        teacher: the first of the line, trained on the labels.
        train: x [N, …] and labels y [N].
        generations: how many students follow.
        student: (what the predecessor taught, generation from 1 on) -> trained network. It trains
            fresh weights, mostly of the teacher's own architecture.

    Returns:
        The students, the first generation first. The mean of their logits is one more network.

    Raises:
        ValueError: as in `teach`, or generations below 0.

    Source: Furlanello et al., "Born-again neural networks", 2018.

    >>> ones = Split(torch.ones(2, 3), torch.tensor([0, 1]))
    >>> len(born_again(nn.Linear(3, 2), ones, 3, lambda taught, generation: nn.Linear(3, 2)))
    3
    """
    check_count(generations, "generations", least=0)
    line = [teacher]
    for generation in range(1, generations + 1):
        line.append(student(teach(line[-1], train), generation))
    return line[1:]


def _says(teacher: nn.Module, x: Tensor, layer: str | None, summary: Callable | None) -> list:
    """Return the teacher's logits for a batch and, after them, the outputs of a layer."""
    logits, features = (teacher(x), None) if layer is None else watch(teacher, layer, x)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"the teacher's outputs are {found}: give a teacher with logits [N, C]")
    if features is None:
        return [logits.float()]
    features = summary(features) if summary else features
    return [logits.float(), features.flatten(1).float()]
