"""Selection: from scores to masks, dropping exactly as many entries as asked."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pruneedu.tensors import Masks, Scores, check_fraction, check_scores


def keep_top(
    scores: Scores,
    sparsity: float | dict[str, float],
    scope: str = "global",
    masks: Masks | None = None,
) -> Masks:
    """Keep the entries with the highest scores; drop exactly k.

    k = round(sparsity · n), n the number of entries (Python's `round`: a half goes to the even)

    Among equal scores the earlier entry stays: earlier in the dict, then in row-major order.

    Args:
        scores: weight-level, unit-level or layer-level scores.
        sparsity: fraction to drop, in [0, 1]; or one for each layer, name -> fraction.
        scope: "global" ranks the entries of all layers together, "layer" each layer alone.
        masks: earlier masks with the names and shapes of `scores`; what they dropped counts as
            lower than any score, so it goes first.

    Returns:
        Masks with the names and shapes of `scores`, True = keep.

    Raises:
        TypeError, ValueError: scores, sparsity, scope or masks that are not as described, or
            layers that would be ranked one at a time at layer level.

    Source: Han et al., "Learning both weights and connections for efficient neural networks", 2015.

    >>> scores = {"fc1": torch.tensor([3.0, 1.0]), "fc2": torch.tensor([2.0, 1.0])}
    >>> keep_top(scores, sparsity=0.25)
    {'fc1': tensor([True, True]), 'fc2': tensor([ True, False])}
    """
    _check_request(scores, sparsity, scope, masks)
    ranked = {name: _dropped_lowest(scores[name], masks and masks[name]) for name in scores}
    if isinstance(sparsity, dict):
        return {name: _keep_highest(score, sparsity[name]) for name, score in ranked.items()}
    if scope == "layer":
        return {name: _keep_highest(score, sparsity) for name, score in ranked.items()}
    together = torch.cat([score.flatten() for score in ranked.values()])
    kept = _keep_highest(together, sparsity).split([score.numel() for score in ranked.values()])
    return {n: keep.view_as(s).clone() for (n, s), keep in zip(ranked.items(), kept, strict=True)}


def _keep_highest(scores: Tensor, sparsity: float) -> Tensor:
    """Return a mask of the shape of `scores` that drops the k lowest."""
    k = round(float(sparsity) * scores.numel())
    if k == 0:
        return torch.ones_like(scores, dtype=torch.bool)
    threshold = _kth_smallest(scores.flatten(), k)
    keep = scores > threshold
    # Entries equal to the threshold stay or go: the earliest stay, until k are left to drop.
    tied = (scores == threshold).flatten().nonzero().squeeze(1)
    keep.view(-1)[tied[: scores.numel() - k - int(keep.sum())]] = True
    return keep


def _kth_smallest(scores: Tensor, k: int) -> Tensor:
    """Return the k-th smallest of [n] scores, k from 1 to n, as a 0-dimensional tensor."""
    if scores.device.type != "cpu":
        return scores.sort().values[k - 1]
    # A partition does not sort, and NumPy's is four times as fast as torch.kthvalue.
    return torch.as_tensor(np.partition(scores.numpy(), k - 1)[k - 1])


def _dropped_lowest(score: Tensor, mask: Tensor | None) -> Tensor:
    """Return scores as float32 or float64, with -inf where the mask has dropped."""
    score = score.detach()
    if score.dtype not in (torch.float32, torch.float64):
        score = score.double()
    return score if mask is None else score.masked_fill(~mask, -torch.inf)


def _check_request(scores, sparsity, scope, masks) -> None:
    """Raise unless `keep_top` can do exactly what is asked."""
    check_scores(scores)
    if scope not in ("global", "layer"):
        raise ValueError(f"scope is {scope!r}: choose 'global' or 'layer'")
    alone = isinstance(sparsity, dict) or scope == "layer"
    if alone and all(score.ndim == 0 for score in scores.values()):
        raise ValueError(
            "each layer has one score, so ranked alone it could only stay or go whole: "
            "give one sparsity and scope='global'"
        )
    if isinstance(sparsity, dict):
        _check_names(sparsity, scores, "sparsity")
        for name, fraction in sparsity.items():
            check_fraction(fraction, f"sparsity of {name!r}")
    else:
        check_fraction(sparsity)
    if masks is not None:
        _check_names(masks, scores, "masks")
        for name, mask in masks.items():
            if mask.dtype != torch.bool or mask.shape != scores[name].shape:
                raise ValueError(
                    f"the mask of {name!r} is {mask.dtype} of shape {tuple(mask.shape)}, but its "
                    f"scores need torch.bool of shape {tuple(scores[name].shape)}"
                )


def _check_names(given: dict, scores: Scores, what: str) -> None:
    """Raise unless `given` names exactly the layers that were scored."""
    for name in scores.keys() ^ given.keys():
        problem = "lacks" if name in scores else "names"
        expected = ", ".join(map(repr, scores))
        raise ValueError(f"{what} {problem} {name!r}: it needs exactly the layers {expected}")
