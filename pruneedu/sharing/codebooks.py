"""Weight sharing: a weight is a label, and the label's number stands in a codebook.

n weights of 32 bits become n labels of log₂ k bits and k numbers of 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pruneedu.checks import check_count, check_floats
from pruneedu.sharing.centroids import nearest, optimal
from pruneedu.tensors import prunable


class Codebook(NamedTuple):
    """The numbers that a tensor shares, and which of them each entry is.

    Attributes:
        values: [1 + k]; the first is 0, for what was pruned.
        labels: int64, in the shape of the tensor, each an index into `values`.
    """

    values: Tensor
    labels: Tensor

    def decoded(self) -> Tensor:
        """Return the tensor. Gradients of entries with one label add up; the first stays 0."""
        return torch.cat([torch.zeros_like(self.values[:1]), self.values[1:]])[self.labels]

    def check(self, shape: torch.Size) -> None:
        """Raise ValueError unless this is a codebook of a tensor of this shape."""
        if self.values.ndim != 1 or not len(self.values) or self.values[0] != 0:
            raise ValueError("the values are not [1 + k] numbers of which the first is 0")
        check_entries(self.values, self.labels, len(self.values), shape)


def codebook(
    weight: Tensor, clusters: int, cluster: Callable[[Tensor, int], Tensor] = optimal
) -> Codebook:
    """Return the codebook of one tensor: k centroids for what is not zero, and zero itself.

    ``w_i ≈ c[label_i]``

    Args:
        weight: any shape. What is exactly 0, as after pruning, gets label 0 and stays 0.
        clusters: k, at least 1. Where fewer different numbers occur, those are the codebook, and
            nothing is lost.
        cluster: values [n], k -> k sorted centroids: `optimal` or, say,
            ``partial(lloyd, start=density_start)``.

    Returns:
        The codebook, in the dtype of the weight.

    Raises:
        TypeError, ValueError: clusters below 1, no floats, NaN or infinity.

    Source: Han et al., "Deep compression", 2016.

    >>> book = codebook(torch.tensor([0.0, 1.0, 1.5, -4.0]), clusters=2)
    >>> book.values, book.labels
    (tensor([ 0.0000, -4.0000,  1.2500]), tensor([0, 2, 2, 1]))
    """
    check_count(clusters, "clusters")
    check_floats(weight, "the weight")
    weight = weight.detach()
    alive = weight != 0
    centroids = weight[alive].unique()
    if len(centroids) > clusters:
        centroids = cluster(weight[alive], clusters).to(weight.dtype)
    labels = torch.zeros(weight.shape, dtype=torch.int64, device=weight.device)
    if len(centroids):
        labels[alive] = 1 + nearest(weight[alive], centroids)
    return Codebook(torch.cat([centroids.new_zeros(1), centroids]), labels)


def codebooks(
    model: nn.Module,
    clusters: int | Mapping[str, int],
    cluster: Callable[[Tensor, int], Tensor] = optimal,
) -> dict[str, Codebook]:
    """Return a codebook for the weight of each Linear and Conv layer.

    Args:
        model: stays as it is.
        clusters: k for all, or weight name -> k for those named only. Deep Compression takes 256
            for convolutions and 32 for Linear layers: labels of 8 and of 5 bits.
        cluster: as in `codebook`.

    Returns:
        Weight name -> codebook: the plan that `share` carries out.

    Raises:
        ValueError: a name that the model does not have, clusters below 1, NaN or infinity.

    >>> from pruneedu.models import mlp
    >>> {name: book.values.shape for name, book in codebooks(mlp(4, 3, 2), clusters=5).items()}
    {'fc1.weight': torch.Size([6]), 'fc2.weight': torch.Size([6])}
    """
    weights = prunable(model)
    if not isinstance(clusters, Mapping):
        clusters = dict.fromkeys(weights, clusters)
    check_names(clusters, weights)
    books = {}
    for name, k in clusters.items():
        try:
            books[name] = codebook(weights[name], k, cluster)
        except (TypeError, ValueError) as error:
            raise type(error)(f"no codebook for {name!r}: {error}") from error
    return books


def check_entries(values: Tensor, labels: Tensor, count: int, shape: tuple[int, ...]) -> None:
    """Raise unless values are finite, and labels have this shape and lie in 0 … count - 1.

    >>> check_entries(torch.ones(3), torch.tensor([0, 3]), count=3, shape=(2,))
    Traceback (most recent call last):
    ValueError: labels run from 0 to 3, but there are 3 to choose from
    """
    if labels.dtype != torch.int64 or tuple(labels.shape) != tuple(shape):
        raise ValueError(
            f"labels are {labels.dtype} of shape {tuple(labels.shape)}, "
            f"expected torch.int64 of shape {tuple(shape)}"
        )
    if labels.numel() and not (labels.min() >= 0 and labels.max() < count):
        ends = f"from {labels.min()} to {labels.max()}"
        raise ValueError(f"labels run {ends}, but there are {count} to choose from")
    if not values.isfinite().all():
        raise ValueError("the values hold NaN or infinity")


def check_names(named: Mapping, weights: Mapping[str, Tensor]) -> None:
    """Raise unless this is a mapping whose names are all those of weights.

    >>> check_names({"fc9": 4}, {"fc1.weight": torch.ones(2)})
    Traceback (most recent call last):
    ValueError: this model has no weight 'fc9': its weights are 'fc1.weight'
    """
    if not isinstance(named, Mapping):
        kind = type(named).__name__
        raise TypeError(f"the plan is of type {kind}: give a dict from weight name to codebook")
    for name in named:
        if name not in weights:
            known = ", ".join(map(repr, weights)) or "none"
            raise ValueError(f"this model has no weight {name!r}: its weights are {known}")
