"""Criteria of information: how much does a unit vary, and how much of that is about the class?

For the first two, activations are counted in bins of equal width, between the least and the
greatest value of each unit: the shares of the bins stand for its distribution. With few examples
for many bins, entropies come out too low and mutual information too high (Paninski, "Estimation of
entropy and mutual information", 2003).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pruneedu.data import Split
from pruneedu.pruning.ablation import check_reached, without_each
from pruneedu.pruning.histograms import histograms
from pruneedu.pruning.passes import as_scores, batches, scoring
from pruneedu.tensors import Scores


def entropy(
    model: nn.Module,
    data: Split,
    bins: int = 10,
    positions: str = "mean",
    batch_size: int = 128,
) -> Scores:
    """Score each unit by the entropy of its activation: how evenly it uses its range.

    score = −Σ_b p_b log p_b in nats, p_b the share of bin b

    Args:
        model: the network to score; it is not changed.
        data: x [N, …]; y is not read.
        bins: the number of bins, at least 2.
        positions: "mean", the mean of a convolution's output over all positions is one value for
            each example; or "each", the value at each position counts.
        batch_size: examples at a time.

    Returns:
        Unit-level scores from 0, the same value for all, to log(bins), all bins equally full.

    Raises:
        ValueError: no examples, too few bins, NaN or infinity, or a layer in which every unit is
            constant.

    Source: Luo and Wu, "An entropy-based pruning method for CNN compression", 2017.

    >>> from pruneedu.models import mlp
    >>> model = mlp(1, 2)
    >>> _ = (
    ...     nn.init.zeros_(model.fc1.bias),
    ...     model.fc1.weight.data.copy_(torch.tensor([[1.0], [0.0]])),
    ... )
    >>> entropy(model, Split(torch.tensor([[1.0], [2.0], [3.0], [9.0]]), None), bins=2)
    {'fc1': tensor([0.5623, 0.0000])}
    """
    with scoring(model, data, labels=False):
        alike = Split(data.x, torch.zeros(len(data.x), dtype=torch.int64, device=data.x.device))
        counts = histograms(model, alike, bins, positions, batch_size)
        shares = {name: (n / n[0].sum()).flatten(1) for name, n in counts.items()}
        scores = {name: torch.special.entr(p).sum(1) for name, p in shares.items()}
        return as_scores(scores, model)


def mutual_information(
    model: nn.Module,
    data: Split,
    bins: int = 10,
    positions: str = "mean",
    batch_size: int = 128,
) -> Scores:
    """Score each unit by what its activation tells about the class.

    score = I(T; Y) = Σ_b Σ_c p[b, c] log(p[b, c] / (p[b] p[c])) in nats

    p[b, c] is the share of the examples of class c whose activation falls into bin b. It equals
    H(T) − Σ_c p[c] H(T | c): how much less a unit varies within a class than over all.

    Args:
        model: the network to score; it is not changed.
        data: x [N, …] and y [N].
        bins: the number of bins, at least 2.
        positions: "mean" or "each", as in `entropy`.
        batch_size: examples at a time.

    Returns:
        Unit-level scores from 0, independent of the class, to log(classes) at most.

    Raises:
        ValueError: no examples, no labels or a single class, too few bins, NaN or infinity, or a
            layer in which every unit is constant.

    Source: Battiti, "Using mutual information for selecting features in supervised neural net
    learning", 1994, for inputs.

    >>> from pruneedu.models import mlp
    >>> model = mlp(2, 2)
    >>> _ = nn.init.eye_(model.fc1.weight)
    >>> x = torch.tensor([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 9.0]])
    >>> mutual_information(model, Split(x, torch.tensor([0, 0, 1, 1])), bins=2)
    {'fc1': tensor([0.6931, 0.0000])}
    """
    with scoring(model, data):
        if (data.y == data.y[0]).all():
            raise ValueError(
                f"every label is {data.y[0].item()}, and of a single class there is nothing to "
                "tell: give examples of two classes or more"
            )
        counts = histograms(model, data, bins, positions, batch_size)
        return as_scores({name: _shared(n) for name, n in counts.items()}, model)


def output_entropy(model: nn.Module, data: Split, batch_size: int = 32) -> Scores:
    """Score each unit by how far the entropy of the prediction moves without it.

    score = 1/N Σ_i |H(p_without(x_i)) − H(p(x_i))|, H(p) = −Σ_c p_c log p_c in nats

    p is the softmax of the logits: how sure the network is, and not whether it is right, so no
    labels are needed. Without a unit means what it does in `ablation`.

    Args:
        model: the network to score; it is not changed.
        data: x [N, …]; y is not read.
        batch_size: examples at a time; up to 64 ablated networks see them together.

    Returns:
        Unit-level scores from 0, as sure as before, to log(classes).

    Raises:
        ValueError: no examples, NaN or infinity, or a layer that no example reaches.

    Source: Shannon, "A mathematical theory of communication", 1948, for the entropy.

    The second unit alone tells the classes apart, so without it nothing is certain:

    >>> from pruneedu.models import mlp
    >>> model = mlp(1, 2)
    >>> _ = (
    ...     model.fc1.weight.data.copy_(torch.tensor([[0.0], [50.0]])),
    ...     nn.init.zeros_(model.fc1.bias),
    ... )
    >>> output_entropy(model, Split(torch.tensor([[1.0], [2.0]]), None))
    {'fc1': tensor([0.0000, 0.6931])}
    """

    def unsureness(logits):
        return torch.special.entr(logits.double().softmax(1)).sum(1)

    with scoring(model, data, labels=False):
        check_reached(model, data, batch_size)
        whole = torch.cat([unsureness(model(batch.x)) for batch in batches(data, batch_size)])

        def moved(logits):
            return (unsureness(logits) - whole).abs().mean()

        return without_each(model, data, moved, "unit", batch_size)


def _shared(counts: Tensor) -> Tensor:
    """Return the mutual information of each unit from joint counts [units, bins, classes].

    >>> _shared(torch.tensor([[[4.0, 0.0], [0.0, 4.0]], [[2.0, 2.0], [2.0, 2.0]]]))
    tensor([0.6931, 0.0000])
    """
    values = counts[0].sum()
    apart = counts.sum(1, keepdim=True) * counts.sum(2, keepdim=True)
    # In counts and not in shares, so that a constant unit shares exactly nothing.
    terms = torch.special.xlogy(counts, counts * values) - torch.special.xlogy(counts, apart)
    return terms.sum((1, 2)).clamp(min=0) / values
