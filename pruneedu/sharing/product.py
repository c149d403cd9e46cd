"""Product quantization: the rows of a weight share short vectors instead of single numbers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pruneedu.checks import check_count, check_floats
from pruneedu.sharing.codebooks import check_entries


class ProductCodebook(NamedTuple):
    """The short vectors that the rows of a matrix share, block of columns by block of columns.

    Attributes:
        values: [blocks, k, width].
        labels: int64 [rows, blocks], each an index into the k vectors of its block.
        shape: of the tensor.
    """

    values: Tensor
    labels: Tensor
    shape: tuple[int, ...]

    def decoded(self) -> Tensor:
        """Return the tensor: rows made of one vector for each block. Gradients add up."""
        blocks = torch.arange(len(self.values), device=self.labels.device)
        return self.values[blocks, self.labels].reshape(self.shape)

    def check(self, shape: torch.Size) -> None:
        """Raise ValueError unless this is a codebook of a tensor of this shape."""
        if self.values.ndim != 3 or tuple(self.shape) != tuple(shape):
            raise ValueError(f"it is for a tensor of shape {tuple(self.shape)}")
        blocks, k, width = self.values.shape
        if len(self.labels) * blocks * width != shape.numel():
            raise ValueError(f"{blocks} blocks of {width} are not the columns of its rows")
        check_entries(self.values, self.labels, k, (shape[0], blocks))


def product_codebook(weight: Tensor, clusters: int, width: int, seed: int = 0) -> ProductCodebook:
    """Return a codebook of vectors: each row of the weight is a few of them in a row.

    The columns part into blocks of `width`. In each, the rows' short vectors share k centroids of
    k-means; a label of log₂ k bits stands for `width` numbers.

    Args:
        weight: [out, in, …] of a Linear or Conv layer, seen as [out, in·…]. Zeros move like all
            other numbers, so this is for layers that are not pruned.
        clusters: k, the centroids of each block, from 1 to out.
        width: the numbers in a vector; it divides in·….
        seed: of the random start of k-means.

    Returns:
        The codebook, in the dtype of the weight.

    Raises:
        TypeError, ValueError: clusters or a width that do not fit; a weight with fewer than two
            axes, no floats, NaN or infinity.

    Sources: Jégou et al., "Product quantization for nearest neighbor search", 2011; Gong et al.,
    "Compressing deep convolutional networks using vector quantization", 2014.

    >>> weight = torch.tensor([[1.0, 2.0, 5.0, 6.0], [1.0, 2.0, 7.0, 8.0], [3.0, 4.0, 7.0, 8.0]])
    >>> book = product_codebook(weight, clusters=2, width=2)
    >>> tuple(book.values.shape), torch.equal(book.decoded(), weight)
    ((2, 2, 2), True)
    """
    from sklearn.cluster import KMeans

    check_floats(weight, "the weight", axes=2)
    rows = weight.detach().flatten(1)
    check_count(clusters, "clusters", most=len(rows))
    if type(width) is not int or width < 1 or rows.shape[1] % width:
        raise ValueError(
            f"width is {width!r}: give a whole number that divides the {rows.shape[1]} columns"
        )
    values, labels = [], []
    for block in rows.double().cpu().split(width, dim=1):
        # With fewer different vectors than clusters, k-means would warn and repeat some.
        k = min(clusters, len(block.unique(dim=0)))
        fitted = KMeans(k, n_init=1, random_state=seed).fit(block.numpy())
        centres = torch.from_numpy(fitted.cluster_centers_)
        values.append(nn.functional.pad(centres, (0, 0, 0, clusters - k)))
        labels.append(torch.from_numpy(fitted.labels_).long())
    codes = torch.stack(labels, dim=1).to(weight.device)
    return ProductCodebook(torch.stack(values).to(weight), codes, tuple(weight.shape))
