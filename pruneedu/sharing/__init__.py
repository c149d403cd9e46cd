"""Weight sharing: a weight is a label, and the label's number stands in a codebook."""

from pruneedu.sharing.centroids import (
    density_start,
    inertia,
    linear_start,
    lloyd,
    nearest,
    optimal,
    random_start,
)
from pruneedu.sharing.codebooks import Codebook, codebook, codebooks
from pruneedu.sharing.product import ProductCodebook, product_codebook
from pruneedu.sharing.rewriting import finetune_codebooks, share

__all__ = [
    "Codebook",
    "ProductCodebook",
    "codebook",
    "codebooks",
    "density_start",
    "finetune_codebooks",
    "inertia",
    "linear_start",
    "lloyd",
    "nearest",
    "optimal",
    "product_codebook",
    "random_start",
    "share",
]
