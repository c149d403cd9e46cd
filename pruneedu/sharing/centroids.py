"""Which k numbers stand best for n numbers? K-means in one dimension, exact and by Lloyd's steps.

Each function here turns values [n] into k centroids, sorted. They differ in what they cost and in
what they reach: the sum of squared distances, `inertia`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pruneedu.checks import check_count, check_floats


def nearest(values: Tensor, centroids: Tensor) -> Tensor:
    """Return the index of the centroid nearest to each value; in the middle, the lower one.

    Args:
        values: any shape.
        centroids: [k], sorted.

    Returns:
        int64, in the shape of the values.

    Raises:
        TypeError, ValueError: no floats, NaN or infinity, or centroids that are none or not sorted.

    >>> nearest(torch.tensor([0.1, 0.9, 0.5]), torch.tensor([0.0, 1.0]))
    tensor([0, 1, 0])
    """
    check_floats(values, "the values")
    check_floats(centroids, "the centroids", axes=1)
    if (centroids.diff() < 0).any():
        raise ValueError("the centroids are not sorted: give centroids.sort().values")
    # In float64 a middle is exact; the halves of float64 do not overflow either.
    halves = centroids.double() / 2
    return torch.bucketize(values.double().contiguous(), halves[1:] + halves[:-1])


def inertia(values: Tensor, centroids: Tensor) -> float:
    """Return what k-means minimises: the sum of squared distances to the nearest centroid.

    ``Σ_i min_j (v_i - c_j)²``

    Raises:
        TypeError, ValueError: as in `nearest`.

    >>> inertia(torch.tensor([0.0, 1.0, 5.0]), torch.tensor([0.5, 5.0]))
    0.5
    """
    places = centroids[nearest(values, centroids)]
    return (values.double() - places.double()).square().sum().item()


def optimal(values: Tensor, k: int) -> Tensor:
    """Return the k centroids with the least inertia of all.

    In one dimension clusters are intervals, so dynamic programming over the sorted values finds the
    best ones. Time and memory grow with n · k: 200,000 values and k = 32 take about 2 s.

    Args:
        values: [n], at least one.
        k: at least 1.

    Returns:
        [k], sorted, in float64; where there are fewer different values, those.

    Raises:
        TypeError, ValueError: values that are no finite floats [n], or another k.

    Source: Grønlund et al., "Fast exact k-means, k-medians and Bregman divergence clustering in
    1D", 2017; here by the package kmeans1d.

    >>> optimal(torch.tensor([0.0, 1.0, 5.0, 6.0, 20.0]), 3)
    tensor([ 0.5000,  5.5000, 20.0000], dtype=torch.float64)
    """
    import kmeans1d

    _check(values, k)
    values = values.detach().double()
    k = min(k, len(values.unique()))  # The package would fill up with zeros.
    # It takes squares from each other, which leaves nothing where values lie far from 0.
    middle = values.median()
    centroids = kmeans1d.cluster((values - middle).tolist(), k).centroids
    return middle + torch.tensor(centroids, dtype=torch.float64, device=values.device)


def linear_start(values: Tensor, k: int) -> Tensor:
    """Return k numbers in equal steps from the smallest value to the largest.

    The few large weights, which matter most, get centroids of their own.

    >>> linear_start(torch.tensor([0.0, 1.0, 1.0, 1.0, 4.0]), 3)
    tensor([0., 2., 4.], dtype=torch.float64)
    """
    _check(values, k)
    low, high = values.double().aminmax()
    return low + (high - low) * torch.linspace(0, 1, k, dtype=low.dtype, device=low.device)


def density_start(values: Tensor, k: int) -> Tensor:
    """Return k quantiles, so that equally many values lie around each.

    >>> density_start(torch.tensor([0.0, 1.0, 1.5, 2.0, 2.5, 9.0]), 3)
    tensor([1., 2., 9.], dtype=torch.float64)
    """
    _check(values, k)
    shares = (torch.arange(k, device=values.device) + 0.5) / k
    return values.double().sort().values[(shares * len(values)).long()]


def random_start(values: Tensor, k: int, seed: int = 0) -> Tensor:
    """Return k of the values, drawn at random (Forgy's start).

    >>> random_start(torch.arange(10.0), 3).shape
    torch.Size([3])
    """
    _check(values, k)
    check_count(k, "k", most=len(values))
    order = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
    return values.double()[order[:k].to(values.device)].sort().values


def lloyd(
    values: Tensor,
    k: int,
    start: Callable[[Tensor, int], Tensor] = linear_start,
    steps: int = 300,
) -> Tensor:
    """Move centroids to the mean of the values nearest to them, until nothing moves.

    ``c_j ← mean of the v_i whose nearest centroid is c_j``

    No step raises the inertia, but where it ends depends on the start. A centroid that is nearest
    to no value stays where it is.

    Args:
        values: [n].
        k: number of centroids, from 1 to n.
        start: `linear_start`, `density_start` or `random_start`.
        steps: the most steps that it may take.

    Returns:
        [k], sorted, in float64.

    Raises:
        TypeError, ValueError: values that are no finite floats [n], another k, or steps below 0.

    Sources: Lloyd, "Least squares quantization in PCM", 1982; Han et al., "Deep compression", 2016
    (section 3.2, the three starts).

    >>> lloyd(torch.tensor([0.0, 1.0, 5.0, 6.0]), k=2)
    tensor([0.5000, 5.5000], dtype=torch.float64)
    """
    _check(values, k)
    check_count(k, "k", most=len(values))
    check_count(steps, "steps", least=0)
    values, centroids = values.double(), start(values, k)
    for _ in range(steps):
        labels = nearest(values, centroids)
        counts = torch.bincount(labels, minlength=k)
        means = torch.bincount(labels, weights=values, minlength=k) / counts
        moved = torch.where(counts > 0, means, centroids)
        if torch.equal(moved, centroids):
            break
        centroids = moved
    return centroids


def _check(values: Tensor, k: int) -> None:
    """Raise unless values are finite floats [n], at least one, and k is a whole number above 0."""
    check_floats(values, "the values", axes=1)
    if values.ndim != 1:
        raise ValueError(f"the shape of the values is {tuple(values.shape)}: give values.flatten()")
    check_count(k, "k")
