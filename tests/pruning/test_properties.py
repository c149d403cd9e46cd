"""Properties that every criterion and every rewrite share. A new technique joins with a row."""

import copy
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch.nn.functional import cross_entropy

from pruneedu.data import Split
from pruneedu.lowrank import factorize, spatial_svd, tucker2
from pruneedu.models import mlp, mnist1d_cnn, small_cnn
from pruneedu.pruning import (
    ablation,
    apoz,
    apply_masks,
    batchnorm_scale,
    entropy,
    fisher,
    gradient,
    grasp,
    keep_top,
    magnitude,
    mutual_information,
    output_entropy,
    prune_iteratively,
    random,
    sensitivity,
    snip,
    synflow,
    taylor,
    taylor_units,
    wanda,
)
from pruneedu.pruning.masks import following_norm
from pruneedu.quantization import (
    as_rows,
    asymmetric,
    binary,
    convert,
    freeze_incrementally,
    input_ranges,
    learned_step,
    plan_grids,
    quantize,
    straight_through,
    ternary,
    weight_ranges,
)
from pruneedu.sharing import codebooks, finetune_codebooks, product_codebook, share
from pruneedu.tensors import (
    check_scores,
    level,
    per_layer,
    per_unit,
    prunable,
    prunable_layers,
    sparsity,
)

# name -> (model, one batch of inputs)
MODELS = {
    "mlp": (lambda: mlp(16, 12, 4), (6, 1, 4, 4)),
    "small_cnn": (lambda: small_cnn((4, 6), classes=4), (6, 1, 8, 8)),
    "mnist1d_cnn": (lambda: mnist1d_cnn(channels=5, classes=4), (6, 40)),
}


class Criterion(NamedTuple):
    """A row: a criterion, and what theory says of its scores.

    Attributes:
        score: called as `score(model, data, batch_size=…)`; bind or rename the rest.
        level: of the scores, "weight" or "unit".
        reads: "nothing", "weights", "inputs" or "labels", each with those before it.
        counted: scores are shares of the examples, so rounding at an edge may move two of them.
        on_a_batch: defined on one batch, so the batch size may change the scores.
        layers: the layers of a model that it scores.
        loss_degree: with the loss times c, the scores are times c^degree; `score` takes `loss=`.
        weight_degree: with the last layer's weight times c, its scores are times c^degree.
    """

    score: Callable
    level: str = "weight"
    reads: str = "labels"
    counted: bool = False
    on_a_batch: bool = False
    layers: Callable = prunable_layers
    loss_degree: int | None = None
    weight_degree: int | None = None


CRITERIA = {
    "magnitude": Criterion(
        lambda model, data, batch_size: magnitude(model), reads="weights", weight_degree=1
    ),
    "random": Criterion(
        lambda model, data, batch_size: random(model, seed=3), reads="nothing", weight_degree=0
    ),
    "batchnorm_scale": Criterion(
        lambda model, data, batch_size: batchnorm_scale(model),
        level="unit",
        reads="weights",
        layers=lambda model: [
            name for name in prunable_layers(model) if following_norm(model, name)
        ],
    ),
    "gradient": Criterion(gradient, loss_degree=2),
    "sensitivity": Criterion(sensitivity, reads="inputs", weight_degree=0),
    "taylor": Criterion(taylor, loss_degree=1),
    "taylor_units": Criterion(taylor_units, level="unit", loss_degree=1),
    "fisher": Criterion(fisher, loss_degree=2),
    "snip": Criterion(snip, loss_degree=0),
    "grasp": Criterion(grasp, loss_degree=2),
    "synflow": Criterion(
        lambda model, data, batch_size: synflow(model, data.x.shape[1:]),
        reads="weights",
        weight_degree=1,
    ),
    "apoz": Criterion(apoz, level="unit", reads="inputs", counted=True),
    "entropy": Criterion(entropy, level="unit", reads="inputs", counted=True),
    "mutual_information": Criterion(mutual_information, level="unit", counted=True),
    "output_entropy": Criterion(output_entropy, level="unit", reads="inputs"),
    "wanda": Criterion(wanda, reads="inputs", weight_degree=1),
    "ablation": Criterion(ablation, level="unit", counted=True),
    # Without a unit the loss is nearly what it was, so rounding shows; sharp logits lose more.
    "ablation_of_the_loss": Criterion(
        partial(ablation, metric=lambda logits, y: -cross_entropy(30 * logits, y)), level="unit"
    ),
}


def at_level(aggregate, model):
    return apply_masks(model, keep_top(aggregate(magnitude(model), model), 0.4))


def grids(model):
    return plan_grids(weight_ranges(model), bits=3)


def later_ranks(model, by_ndim):
    """Return a rank for each layer but the first, as the dimensions of its weight have it."""
    later = list(prunable_layers(model).items())[1:]
    ranks = {name: by_ndim.get(layer.weight.ndim) for name, layer in later}
    return {name: rank for name, rank in ranks.items() if rank}


# name -> function of a model and a labelled batch (x, y): a new model with the same shapes
SAME_SHAPES = {
    "weights": lambda model, x, y: at_level(lambda scores, _: scores, model),
    "units": lambda model, x, y: at_level(per_unit, model),
    "layers": lambda model, x, y: at_level(per_layer, model),
    "iterative": lambda model, x, y: prune_iteratively(
        model, magnitude, [0.3, 0.6], lambda model, after_step: after_step(model)
    )[0],
    "quantized": lambda model, x, y: quantize(model, grids(model)),
    "two_levels": lambda model, x, y: quantize(
        model, {name: binary(as_rows(weight)) for name, weight in prunable(model).items()}
    ),
    "three_levels": lambda model, x, y: quantize(
        model, {name: ternary(as_rows(weight)) for name, weight in prunable(model).items()}
    ),
    "straight_through": lambda model, x, y: convert(straight_through(model, grids(model)))[0],
    "learned_step": lambda model, x, y: convert(learned_step(model, grids(model)))[0],
    "frozen_incrementally": lambda model, x, y: freeze_incrementally(
        model, grids(model), [0.5, 1], lambda model: model
    ),
    "shared": lambda model, x, y: share(model, codebooks(model, clusters=3)),
    "shared_rows": lambda model, x, y: share(
        model,
        {name: product_codebook(w, 2, width=w[0].numel()) for name, w in prunable(model).items()},
    ),
    "tuned_codebooks": lambda model, x, y: finetune_codebooks(
        model, codebooks(model, clusters=3), lambda model: model
    )[0],
}

# The same, but shapes may change, or what a layer does to its inputs.
REWRITES = {
    **SAME_SHAPES,
    "quantized_inputs": lambda model, x, y: quantize(
        model, plan_grids(input_ranges(model, Split(x, y)), 3, asymmetric)
    ),
    # The first layer stays: its bias is frozen, and a factorized layer's has another name.
    "low_rank": lambda model, x, y: factorize(model, later_ranks(model, {2: 1, 3: 1, 4: 1})),
    "spatial": lambda model, x, y: factorize(
        model, later_ranks(model, {2: 1, 4: 1}), conv=spatial_svd
    ),
    "tucker": lambda model, x, y: factorize(
        model, later_ranks(model, {2: 1, 3: (1, 2), 4: (1, 2)}), conv=tucker2
    ),
}

ON_MODELS = pytest.mark.parametrize("model_name", MODELS)
ON_CRITERIA = pytest.mark.parametrize("criterion", CRITERIA.values(), ids=CRITERIA)


def on_criteria(condition):
    """Parametrize over the rows that meet a condition."""
    rows = {name: row for name, row in CRITERIA.items() if condition(row)}
    return pytest.mark.parametrize("criterion", rows.values(), ids=rows)


ON_DATA = on_criteria(lambda row: row.reads in ("inputs", "labels"))
ON_SAME_SHAPES = pytest.mark.parametrize("rewrite", SAME_SHAPES.values(), ids=SAME_SHAPES)
ON_REWRITES = pytest.mark.parametrize("rewrite", REWRITES.values(), ids=REWRITES)


def prepare(name):
    """Return a model in evaluation mode, with gradients and a frozen bias, and a batch."""
    make, shape = MODELS[name]
    torch.manual_seed(0)
    model, x, y = make(), torch.randn(shape), torch.arange(6) % 4
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
            torch.nn.init.normal_(norm.bias, std=0.1)
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


def to_score(criterion, name):
    """Return a model with layers that the criterion scores, and 15 labelled examples."""
    model, x, _ = prepare(name)
    if not criterion.layers(model):
        pytest.skip("no layer that this criterion scores")
    return model, Split(torch.randn(15, *x.shape[1:]), torch.arange(15) % 4)


def assert_close(found, expected, criterion, rows):
    """Compare two rounds of scores that theory says are equal.

    Scores are sums over examples, and signed ones cancel: what rounding leaves is small beside the
    terms, not beside the sum. So the layer's largest score is the measure.
    """
    assert list(found) == list(expected)
    for name, score in expected.items():
        atol = 2 / rows + 1e-6 if criterion.counted else 1e-5 * score.abs().max().item()
        torch.testing.assert_close(found[name], score, rtol=0, atol=atol)


@ON_MODELS
@ON_CRITERIA
def test_a_criterion_scores_every_layer_that_it_is_for(criterion, model_name):
    model, data = to_score(criterion, model_name)
    scores = criterion.score(model, data, batch_size=4)
    check_scores(scores)
    assert level(scores, model) == criterion.level
    like = {name: model.get_submodule(name).weight for name in criterion.layers(model)}
    if criterion.level == "unit":
        shapes = {name: weight.shape[:1] for name, weight in like.items()}
    else:
        shapes = {f"{name}.weight": weight.shape for name, weight in like.items()}
    assert {name: score.shape for name, score in scores.items()} == shapes
    assert list(scores) == list(shapes)
    assert {score.dtype for score in scores.values()} <= {torch.float32, torch.float64}
    assert not any(score.requires_grad for score in scores.values())


@ON_MODELS
@on_criteria(lambda row: not row.counted)
def test_a_criterion_tells_entries_apart(criterion, model_name):
    model, data = to_score(criterion, model_name)
    scores = criterion.score(model, data, batch_size=4)
    # A weight of the last layer moves its own of the 4 outputs by its input, which may often be 0.
    assert all(len(score.unique()) > score.numel() / 8 for score in scores.values())


@ON_MODELS
@ON_CRITERIA
def test_a_criterion_changes_nothing_and_repeats(criterion, model_name):
    model, data = to_score(criterion, model_name)
    inputs = copy.deepcopy(data)
    first = criterion.score(model, data, batch_size=4)
    # In training mode a batch normalisation would learn from the data, and blend its rows.
    list(model.train().children())[-1].eval()
    before = snapshot(model)
    again = criterion.score(model, data, batch_size=4)
    assert_unchanged(model, before)
    assert all(torch.equal(*pair) for pair in zip(inputs, data, strict=True))
    assert all(torch.equal(first[name], again[name]) for name in first)


@ON_MODELS
@ON_CRITERIA
def test_a_criterion_scores_frozen_layers_as_others(criterion, model_name):
    model, data = to_score(criterion, model_name)
    expected = criterion.score(model, data, batch_size=4)
    found = criterion.score(model.requires_grad_(False), data, batch_size=4)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@ON_MODELS
@on_criteria(lambda row: not row.on_a_batch and row.reads in ("inputs", "labels"))
@pytest.mark.parametrize("batch_size", [1, 7])
def test_the_batch_size_changes_no_score(criterion, model_name, batch_size):
    model, data = to_score(criterion, model_name)
    expected = criterion.score(model, data, batch_size=15)
    found = criterion.score(model, data, batch_size=batch_size)
    assert_close(found, expected, criterion, rows=15)


@ON_MODELS
@on_criteria(lambda row: row.reads != "nothing")
def test_permuting_units_permutes_scores(criterion, model_name):
    model, data = to_score(criterion, model_name)
    expected = criterion.score(model, data, batch_size=4)
    first, second, *_ = prunable_layers(model)
    order = torch.randperm(len(model.get_submodule(first).weight))
    permuted = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in unit_tensors(permuted, first):
            tensor.copy_(tensor[order])
        columns = permuted.get_submodule(second).weight
        columns.copy_(columns[:, order])
    if criterion.level == "unit":
        expected[first] = expected[first][order]
    else:
        expected[f"{first}.weight"] = expected[f"{first}.weight"][order]
        expected[f"{second}.weight"] = expected[f"{second}.weight"][:, order]
    found = criterion.score(permuted, data, batch_size=4)
    assert_close(found, expected, criterion, rows=15)


def unit_tensors(model, name):
    """Return all tensors of a layer and its normalisation that have one row per unit."""
    parts = model.get_submodule(name), following_norm(model, name)
    tensors = [tensor for part in parts if part for tensor in part.state_dict().values()]
    return [tensor for tensor in tensors if tensor.ndim]


@ON_MODELS
@on_criteria(lambda row: row.loss_degree is not None)
def test_scores_follow_the_scale_of_the_loss(criterion, model_name):
    model, data = to_score(criterion, model_name)
    loss = cross_entropy
    expected = criterion.score(model, data, batch_size=4, loss=loss)
    expected = {name: score * 3**criterion.loss_degree for name, score in expected.items()}
    found = criterion.score(model, data, batch_size=4, loss=lambda out, y: 3 * loss(out, y))
    assert_close(found, expected, criterion, rows=15)


@ON_MODELS
@on_criteria(lambda row: row.weight_degree is not None)
def test_scores_follow_the_scale_of_the_weights(criterion, model_name):
    model, data = to_score(criterion, model_name)
    *_, last = criterion.score(model, data, batch_size=4)
    expected = criterion.score(model, data, batch_size=4)[last] * 3**criterion.weight_degree
    with torch.no_grad():
        list(prunable(model).values())[-1].mul_(3)
    found = criterion.score(model, data, batch_size=4)[last]
    assert_close({last: found}, {last: expected}, criterion, rows=15)


@ON_MODELS
@ON_CRITERIA
@pytest.mark.parametrize("aggregate", [lambda scores, _: scores, per_unit, per_layer])
def test_a_criterion_selects_at_every_level(criterion, model_name, aggregate):
    if aggregate is per_unit and criterion.level == "unit":
        pytest.skip("at unit level already")
    model, data = to_score(criterion, model_name)
    masks = keep_top(aggregate(criterion.score(model, data, batch_size=4), model), 0.5)
    entries = sum(mask.numel() for mask in masks.values())
    assert sparsity(masks) == round(0.5 * entries) / entries
    assert torch.isfinite(apply_masks(model, masks)(data.x)).all()


@ON_MODELS
@ON_DATA
def test_an_error_leaves_the_model_as_it_was(criterion, model_name):
    model, data = to_score(criterion, model_name)
    list(model.train().children())[-1].eval()
    before = snapshot(model)
    with pytest.raises(RuntimeError):
        criterion.score(model, Split(torch.ones(15, 3), data.y), batch_size=4)
    assert_unchanged(model, before)
    assert not any(module._forward_hooks for module in model.modules())


@ON_DATA
def test_no_examples_and_no_labels_are_refused(criterion):
    model, data = to_score(criterion, "small_cnn")
    with pytest.raises(ValueError, match="the split is empty"):
        criterion.score(model, Split(data.x[:0], data.y[:0]), batch_size=4)
    if criterion.reads == "labels":
        with pytest.raises(ValueError, match="reads the labels, but the data has none"):
            criterion.score(model, Split(data.x, None), batch_size=4)
    else:
        expected = criterion.score(model, data, batch_size=4)
        found = criterion.score(model, Split(data.x, None), batch_size=4)
        assert all(torch.equal(expected[name], found[name]) for name in expected)


@ON_MODELS
@on_criteria(lambda row: row.reads != "nothing")
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_network_that_is_not_finite_is_not_ranked(criterion, model_name, value):
    model, data = to_score(criterion, model_name)
    with torch.no_grad():
        for name in criterion.layers(model):
            for tensor in unit_tensors(model, name):
                tensor[0] = value
    with pytest.raises(ValueError, match=r"'(fc|conv)\d?(\.weight)?' hold NaN or infinity"):
        keep_top(criterion.score(model, data, batch_size=4), 0.5)


@ON_MODELS
@ON_DATA
def test_a_dead_layer_is_named(criterion, model_name):
    model, data = to_score(criterion, model_name)
    first = next(iter(criterion.layers(model)))
    (following_norm(model, first) or model.get_submodule(first)).bias.data.fill_(-1e4)
    with pytest.raises(ValueError, match=r"every score of '(fc|conv)\d?(\.weight)?' is 0"):
        criterion.score(model, data, batch_size=4)


class WithSpare(torch.nn.Module):
    """A network with a layer that forward does not use."""

    def __init__(self, net):
        super().__init__()
        self.net, self.spare = net, torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.net(x)


@ON_DATA
def test_a_layer_that_is_not_used_is_named(criterion):
    model, data = to_score(criterion, "mlp")
    with pytest.raises(ValueError, match=r"'spare(\.weight)?'"):
        criterion.score(WithSpare(model), data, batch_size=4)


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
@ON_SAME_SHAPES
def test_a_rewrite_with_the_same_shapes_keeps_the_checkpoint_loadable(rewrite, model_name):
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
