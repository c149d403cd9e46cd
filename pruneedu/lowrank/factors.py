"""Split the weight of a layer into those of thinner layers that follow each other.

A method is a function of a weight and a rank. A convolution is first unfolded to a matrix; which of
its axes make the rows is the difference between the methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pruneedu.checks import check_floats

Rank = int | tuple[int, int]
Method = Callable[[Tensor, Rank], Sequence[Tensor]]


def by_channel(weight: Tensor) -> Tensor:
    """Unfold a weight [out, in, …] to the matrix [out, in·…] that `truncated_svd` splits.

    >>> by_channel(torch.ones(8, 4, 3, 3)).shape
    torch.Size([8, 36])
    """
    return weight.flatten(1)


def by_input(weight: Tensor) -> Tensor:
    """Unfold a weight [out, in, …] to the matrix [in, out·…], for the first rank of `tucker2`.

    >>> by_input(torch.ones(8, 4, 3, 3)).shape
    torch.Size([4, 72])
    """
    return weight.transpose(0, 1).flatten(1)


def by_space(weight: Tensor) -> Tensor:
    """Unfold a weight [out, in, height, width] to the matrix [in·height, out·width].

    Raises:
        ValueError: a weight that is not that of a Conv2d.

    >>> by_space(torch.ones(8, 4, 3, 3)).shape
    torch.Size([12, 24])
    """
    if weight.ndim != 4:
        raise ValueError(
            f"a weight of shape {tuple(weight.shape)} has no height and width to tell apart: "
            "give the weight [out, in, height, width] of a Conv2d"
        )
    return weight.permute(1, 2, 0, 3).flatten(2).flatten(0, 1)


def truncated_svd(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Split a weight into r units that see the input, and the units that see only those r.

    ``W ≈ U_r Σ_r V_rᵀ``, the nearest matrix of rank r; its squared error is ``Σ_{i > r} σ_i²``.
    Of a convolution, unfolded `by_channel`, this is known as channel SVD: r filters of the same
    size, then a convolution of size 1.

    Args:
        weight: [out, in, …] of a Linear or Conv layer.
        rank: r, from 1 to the smaller side of the matrix.

    Returns:
        The weights ``√Σ_r V_rᵀ`` [r, in, …] and ``U_r √Σ_r`` [out, r, 1, …].

    Raises:
        TypeError, ValueError: a rank that the matrix cannot have, or a weight that is no matrix of
            finite floats.

    Sources: Eckart and Young 1936; Zhang et al., "Accelerating very deep convolutional networks
    for classification and detection", 2016.

    >>> first, second = truncated_svd(torch.diag(torch.tensor([4.0, 1.0])), rank=1)
    >>> second @ first
    tensor([[4., 0.],
            [0., 0.]])
    """
    check_floats(weight, "the weight", axes=2)
    left, right = _balanced_svd(by_channel(weight), rank)
    return right.reshape(rank, *weight.shape[1:]), left.reshape(-1, rank, *[1] * (weight.ndim - 2))


def spatial_svd(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Split a filter of height × width into r columns and then, from those r, its rows.

    ``W[o, i, y, x] ≈ Σ_r H[o, r, x] · V[r, i, y]``, the truncated SVD of W unfolded `by_space`.

    Args:
        weight: [out, in, height, width] of a Conv2d.
        rank: r, from 1 to the smaller of in·height and out·width.

    Returns:
        The weights V [r, in, height, 1] and H [out, r, 1, width].

    Raises:
        TypeError, ValueError: a rank that the matrix cannot have, no Conv2d, or a weight that is
            not of finite floats.

    Source: Jaderberg et al., "Speeding up convolutional neural networks with low rank expansions",
    2014.

    >>> [tuple(factor.shape) for factor in spatial_svd(torch.ones(8, 4, 3, 5), rank=2)]
    [(2, 4, 3, 1), (8, 2, 1, 5)]
    """
    check_floats(weight, "the weight")
    left, right = _balanced_svd(by_space(weight), rank)
    outputs, inputs, height, width = weight.shape
    vertical = left.view(inputs, height, rank).permute(2, 0, 1).unsqueeze(3)
    horizontal = right.view(rank, outputs, width).permute(1, 0, 2).unsqueeze(2)
    return vertical.contiguous(), horizontal.contiguous()


def tucker2(weight: Tensor, ranks: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Split a convolution into one that narrows its channels, a small one, and one that widens.

    ``W[o, i, …] ≈ Σ_ab O[o, a] · C[a, b, …] · I[b, i]``

    O and I hold the leading singular vectors of W unfolded `by_channel` and `by_input`, and C is W
    projected on both. The squared error is at most the sum of the σ² that the two cut off, which
    is at most twice that of the best C, O and I.

    Args:
        weight: [out, in, …] of a Conv1d or Conv2d.
        ranks: (b, a), the channels that go into the small convolution and come out of it. Two calls
            of `ranks_by_energy`, for `matrices(model, by_input)` and for `matrices(model)`, give
            them.

    Returns:
        The weights I [b, in, 1, …], C [a, b, …] and O [out, a, 1, …].

    Raises:
        TypeError, ValueError: ranks that are no pair, or that the channels cannot have; no
            convolution, or a weight that is not of finite floats.

    Sources: De Lathauwer et al., "A multilinear singular value decomposition", 2000; Kim et al.,
    "Compression of deep convolutional neural networks for fast and low power mobile applications",
    2016.

    >>> [tuple(factor.shape) for factor in tucker2(torch.ones(8, 4, 3, 3), (2, 5))]
    [(2, 4, 1, 1), (5, 2, 3, 3), (8, 5, 1, 1)]
    """
    if not isinstance(ranks, tuple) or len(ranks) != 2:
        raise TypeError(f"the ranks are {ranks!r}: Tucker-2 needs a pair, (into, out of) the core")
    check_floats(weight, "the weight of a convolution", axes=3)
    inwards = _leading_vectors(by_input(weight), ranks[0])
    outwards = _leading_vectors(by_channel(weight), ranks[1])
    core = torch.einsum("oi...,oa,ib->ab...", weight, outwards, inwards)
    ones = [1] * (weight.ndim - 2)
    return inwards.T.reshape(ranks[0], -1, *ones), core, outwards.reshape(-1, ranks[1], *ones)


def _balanced_svd(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return U √Σ [m, r] and √Σ Vᵀ [r, n]: factors of one size, so that both can train on."""
    _check_rank(rank, matrix)
    # In float64 on every device: half precision has no decomposition of its own.
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    root = values[:rank].sqrt()
    return (left[:, :rank] * root).to(matrix), (root[:, None] * right[:rank]).to(matrix)


def _leading_vectors(matrix: Tensor, rank: int) -> Tensor:
    """Return the r left singular vectors [m, r] with the largest singular values."""
    _check_rank(rank, matrix)
    return torch.linalg.svd(matrix.double(), full_matrices=False).U[:, :rank].to(matrix)


def _check_rank(rank: int, matrix: Tensor) -> None:
    if not isinstance(rank, int) or isinstance(rank, bool):
        raise TypeError(f"the rank is {rank!r}: give a whole number")
    if not 1 <= rank <= min(matrix.shape):
        rows, columns = matrix.shape
        raise ValueError(
            f"the rank is {rank}, but a matrix of {rows} × {columns} has ranks from 1 to "
            f"{min(rows, columns)}: choose one of them"
        )
