"""Properties that every criterion and every rewrite share. A new technique joins with a row."""

import copy
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch

from pruneedu.data import Split
from pruneedu.models import mlp, mnist1d_cnn, small_cnn
from pruneedu.pruning import apply_masks, keep_top, magnitude, prune_iteratively, random
from pruneedu.tensors import (
    check_scores,
    layer_name,
    level,
    per_layer,
    per_unit,
    prunable,
    sparsity,
)

# name -> (model, one batch of inputs)
MODELS = {
    "mlp": (lambda: mlp(16, 12, 4), (6, 1, 4, 4)),
    "small_cnn": (lambda: small_cnn((4, 6), classes=4), (6, 1, 8, 8)),
    "mnist1d_cnn": (lambda: mnist1d_cnn(channels=5, classes=4), (6, 40)),
}


class Criterion(NamedTuple):
    """A row: a function of (model, data, batch_size), and what theory says of its scores.

    Attributes:
        score: gives the scores.
        level: of the scores.
        counted: they count examples, so that rounding at an edge may move at most two of them.
        on_a_batch: they are defined on one batch, so the batch size may change them.
    """

    score: Callable
    level: str = "weight"
    counted: bool = False
    on_a_batch: bool = False


CRITERIA = {
    "magnitude": Criterion(lambda model, data, batch_size: magnitude(model)),
    "random": Criterion(lambda model, data, batch_size: random(model, seed=3)),
}


def at_level(aggregate, model):
    return apply_masks(model, keep_top(aggregate(magnitude(model), model), 0.4))


# name -> function of a model and a labelled batch (x, y): a new model with the same shapes
MASKINGS = {
    "weights": lambda model, x, y: at_level(lambda scores, _: scores, model),
    "units": lambda model, x, y: at_level(per_unit, model),
    "layers": lambda model, x, y: at_level(per_layer, model),
    "iterative": lambda model, x, y: prune_iteratively(
        model, magnitude, [0.3, 0.6], lambda model, after_step: after_step(model)
    )[0],
}

# The same, but shapes may change.
REWRITES = MASKINGS

ON_MODELS = pytest.mark.parametrize("model_name", MODELS)
ON_CRITERIA = pytest.mark.parametrize("criterion", CRITERIA.values(), ids=CRITERIA)
ON_MASKINGS = pytest.mark.parametrize("rewrite", MASKINGS.values(), ids=MASKINGS)
ON_REWRITES = pytest.mark.parametrize("rewrite", REWRITES.values(), ids=REWRITES)


def prepare(name):
    """Return a model in evaluation mode, with gradients and a frozen bias, and a batch."""
    make, shape = MODELS[name]
    torch.manual_seed(0)
    model, x, y = make(), torch.randn(shape), torch.arange(6) % 4
    torch.nn.functional.cross_entropy(model(x), y).backward()
    next(p for p in model.parameters() if p.ndim == 1).requires_grad_(False)
    return model.eval(), x, y


def snapshot(model):
    """Return everything about a model that a function must not change."""
    return copy.deepcopy(
        {
            "state": model.state_dict(),
            "gradients": {name: p.grad for name, p in model.named_parameters()},
            "frozen": [name for name, p in model.named_parameters() if not p.requires_grad],
            "modes": [module.training for module in model.modules()],
            "random": torch.get_rng_state(),
        }
    )


def assert_unchanged(model, before):
    after = snapshot(model)
    assert after["modes"] == before["modes"]
    assert after["frozen"] == before["frozen"]
    assert torch.equal(after["random"], before["random"])
    for part in ("state", "gradients"):
        assert list(after[part]) == list(before[part])
        for name, tensor in before[part].items():
            assert tensor is None or torch.equal(after[part][name], tensor), name


@ON_MODELS
@ON_CRITERIA
def test_a_criterion_scores_every_prunable_layer(criterion, model_name):
    model, x, y = prepare(model_name)
    scores = criterion.score(model, Split(x, y), 4)
    check_scores(scores)
    assert level(scores, model) == criterion.level
    like = prunable(model)
    if criterion.level == "unit":
        like = {
            layer_name(name): weight[:, *[0] * (weight.ndim - 1)] for name, weight in like.items()
        }
    assert {n: s.shape for n, s in scores.items()} == {n: w.shape for n, w in like.items()}
    assert list(scores) == list(like)
    assert not any(score.requires_grad for score in scores.values())


@ON_MODELS
@ON_CRITERIA
def test_a_criterion_tells_weights_apart(criterion, model_name):
    model, x, y = prepare(model_name)
    scores = criterion.score(model, Split(x, y), 4)
    assert all(len(score.unique()) > score.numel() / 2 for score in scores.values())


@ON_MODELS
@ON_CRITERIA
def test_a_criterion_changes_nothing_and_repeats(criterion, model_name):
    model, x, y = prepare(model_name)
    before = snapshot(model)
    first = criterion.score(model, Split(x, y), 4)
    assert_unchanged(model, before)
    again = criterion.score(model, Split(x, y), 4)
    assert all(torch.equal(first[name], again[name]) for name in first)


@ON_MODELS
@ON_CRITERIA
@pytest.mark.parametrize("aggregate", [lambda scores, _: scores, per_unit, per_layer])
def test_a_criterion_selects_at_every_level(criterion, model_name, aggregate):
    if aggregate is per_unit and criterion.level == "unit":
        pytest.skip("at unit level already")
    model, x, y = prepare(model_name)
    masks = keep_top(aggregate(criterion.score(model, Split(x, y), 4), model), 0.5)
    entries = sum(mask.numel() for mask in masks.values())
    assert sparsity(masks) == round(0.5 * entries) / entries
    assert torch.isfinite(apply_masks(model, masks)(x)).all()


@ON_MODELS
@ON_REWRITES
def test_a_rewrite_leaves_its_input_alone(rewrite, model_name):
    model, x, y = prepare(model_name)
    before = snapshot(model)
    new = rewrite(model, x, y)
    assert_unchanged(model, before)
    theirs = {tensor.data_ptr() for tensor in new.state_dict().values()}
    assert theirs.isdisjoint(tensor.data_ptr() for tensor in model.state_dict().values())


@ON_MODELS
@ON_REWRITES
def test_a_rewrite_repeats_and_keeps_mode_and_frozen_parameters(rewrite, model_name):
    model, x, y = prepare(model_name)
    new, again = rewrite(model, x, y), rewrite(model, x, y)
    assert torch.equal(new(x), again(x))
    assert not any(module.training for module in new.modules())
    assert snapshot(new)["frozen"] == snapshot(model)["frozen"]


@ON_MODELS
@ON_REWRITES
def test_a_rewrite_changes_the_outputs_and_keeps_them_finite(rewrite, model_name):
    model, x, y = prepare(model_name)
    after = rewrite(model, x, y)(x)
    assert after.shape == model(x).shape
    assert torch.isfinite(after).all()
    assert not torch.equal(after, model(x))


@ON_MODELS
@ON_MASKINGS
def test_masking_keeps_the_checkpoint_loadable(rewrite, model_name):
    model, x, y = prepare(model_name)
    fresh = MODELS[model_name][0]()
    new = rewrite(model, x, y)
    fresh.load_state_dict(new.state_dict())
    assert torch.equal(fresh.eval()(x), new(x))
    assert new.architecture == model.architecture


@ON_MODELS
def test_masking_again_changes_nothing(model_name):
    model, _, _ = prepare(model_name)
    masks = keep_top(per_unit(magnitude(model), model), 0.4)
    once = apply_masks(model, masks)
    twice = apply_masks(once, masks)
    assert all(torch.equal(twice.state_dict()[k], v) for k, v in once.state_dict().items())
