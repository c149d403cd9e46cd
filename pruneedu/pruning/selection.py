"""Selection: from scores to masks, dropping exactly as many entries as asked."""

from __future__ import annotations

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
        ValueError: a sparsity below 0 or above 1, another scope, a score that is nan or infinite,
            masks or names that do not fit the scores, layer-level scores ranked layer by layer.
        TypeError: scores that are no dict of tensors of real numbers.

    Source: Han et al., "Learning both weights and connections for efficient neural networks", 2015.

    >>> scores = {"fc1": torch.tensor([3.0, 1.0]), "fc2": torch.tensor([2.0, 1.0])}
    >>> keep_top(scores, sparsity=0.25)
    {'fc1': tensor([True, True]), 'fc2': tensor([ True, False])}
    """
    _check_request(scores, sparsity, scope, masks)
    if scope == "layer" and not isinstance(sparsity, dict):
        sparsity = dict.fromkeys(scores, sparsity)
    if isinstance(sparsity, dict):
        earlier = {name: masks and {name: masks[name]} for name in scores}
        alone = [keep_top({n: scores[n]}, sparsity[n], masks=earlier[n]) for n in scores]
        return {name: keep for one in alone for name, keep in one.items()}

    ranked = _joined(scores, masks)
    keep = _all_but_lowest(ranked, k=round(sparsity * len(ranked)))
    parts = keep.split([score.numel() for score in scores.values()])
    return {n: part.view(scores[n].shape).clone() for n, part in zip(scores, parts, strict=True)}


def _joined(scores: Scores, masks: Masks | None) -> Tensor:
    """Return all scores in one row [n], with -inf where the masks have dropped.

    >>> _joined({"fc1": torch.tensor([3.0, 5.0])}, {"fc1": torch.tensor([True, False])})
    tensor([3., -inf])
    """
    row = torch.cat([score.detach().flatten() for score in scores.values()])
    row = row if row.dtype == torch.float32 else row.double()
    if masks is None:
        return row
    return row.masked_fill_(~torch.cat([masks[name].flatten() for name in scores]), -torch.inf)


def _all_but_lowest(row: Tensor, k: int) -> Tensor:
    """Return the mask that drops the k lowest of a row; among equals the later entries go.

    >>> _all_but_lowest(torch.tensor([1.0, 2.0, 1.0]), k=1)
    tensor([ True,  True, False])
    """
    if k == 0:
        return torch.ones_like(row, dtype=torch.bool)
    threshold = _kth_smallest(row, k)
    keep = row > threshold
    if spare := len(row) - k - int(keep.count_nonzero()):  # places for what equals the threshold
        keep[torch.where(row == threshold)[0][:spare]] = True
    return keep


def _kth_smallest(row: Tensor, k: int) -> Tensor:
    """Return the k-th smallest entry of a row, as a 0-dimensional tensor.

    >>> _kth_smallest(torch.tensor([3.0, 1.0, 2.0]), k=2)
    tensor(2.)
    """
    if row.device.type != "cpu":
        # A GPU sorts quickly, and torch.kthvalue is refused there in deterministic mode.
        return row.sort().values[k - 1]
    # NumPy's partition is ten times as fast as torch.kthvalue, but slow where many entries tie
    # for the lowest place, as pruned weights do. Negated, they tie for the highest.
    row = row.neg()
    row.numpy().partition(len(row) - k)
    return -row[len(row) - k]


def _check_request(
    scores: Scores, sparsity: float | dict[str, float], scope: str, masks: Masks | None
) -> None:
    """Raise unless `keep_top` can do exactly what it is asked.

    >>> _check_request({"fc1": torch.ones(2)}, {"fc2": 0.5}, "global", None)
    Traceback (most recent call last):
    ValueError: 'fc1' is missing in the sparsity: name exactly the layers 'fc1'
    """
    check_scores(scores)
    if scope not in ("global", "layer"):
        raise ValueError(f"scope is {scope!r}: choose 'global' or 'layer'")
    if isinstance(sparsity, dict):
        _check_names(sparsity, scores, "sparsity")
        for name, fraction in sparsity.items():
            check_fraction(fraction, f"sparsity of {name!r}")
    else:
        check_fraction(sparsity)
    if masks is not None:
        _check_earlier(masks, scores)
    alone = scope == "layer" or isinstance(sparsity, dict)
    if alone and all(score.ndim == 0 for score in scores.values()):
        raise ValueError(
            "layer-level scores hold one entry for each layer, which alone could only stay or go "
            "whole: rank the layers together, with one sparsity and scope='global'"
        )


def _check_earlier(masks: Masks, scores: Scores) -> None:
    """Raise unless earlier masks have the names and shapes of the scores."""
    _check_names(masks, scores, "masks")
    for name, mask in masks.items():
        expected = tuple(scores[name].shape)
        if mask.dtype != torch.bool or tuple(mask.shape) != expected:
            raise ValueError(
                f"the mask of {name!r} is {mask.dtype} of shape {tuple(mask.shape)}, "
                f"but its scores need torch.bool of shape {expected}"
            )


def _check_names(given: dict, scores: Scores, what: str) -> None:
    """Raise unless `given` names exactly the layers that were scored."""
    for name in [*scores, *given]:
        if name not in given or name not in scores:
            problem = "was not scored" if name in given else "is missing"
            layers = ", ".join(map(repr, scores))
            raise ValueError(f"{name!r} {problem} in the {what}: name exactly the layers {layers}")
