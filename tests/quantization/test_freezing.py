import copy
from functools import partial

import pytest
import torch

from pruneedu.data import Split
from pruneedu.models import mlp
from pruneedu.pruning import apply_masks, keep_top, magnitude
from pruneedu.quantization.affine import QParams, round_to_grid
from pruneedu.quantization.freezing import distance_to_grid, freeze_incrementally
from pruneedu.quantization.ranges import weight_ranges
from pruneedu.quantization.rewriting import plan_grids
from pruneedu.training import fit, sgd


@pytest.fixture
def model():
    torch.manual_seed(0)
    return mlp(8, 12, 3).eval()


@pytest.fixture
def plan(model):
    return plan_grids(weight_ranges(model), bits=3)


def task(n=60):
    torch.manual_seed(1)
    return Split(torch.randn(n, 8), torch.arange(n) % 3)


class Trainer:
    """Fine-tune for an epoch with momentum, and keep what came in and what went out."""

    def __init__(self):
        self.before, self.after = [], []

    def __call__(self, model):
        self.before.append({n: model.get_submodule(n).weight.detach() for n in ("fc1", "fc2")})
        fitted = fit(model, task(), epochs=1, batch_size=10, optimizer=partial(sgd, lr=0.1)).model
        self.after.append({n: fitted.get_submodule(n).weight.detach() for n in ("fc1", "fc2")})
        return fitted


def test_each_round_freezes_as_many_as_asked_for_good(model, plan):
    before, trainer = copy.deepcopy(model.state_dict()), Trainer()
    frozen = freeze_incrementally(model, plan, [0.0, 0.5, 0.75, 1], trainer)
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in before)
    for name in ("fc1", "fc2"):
        grid = plan[f"{name}.weight"]
        n = before[f"{name}.weight"].numel()
        fixed = torch.zeros_like(before[f"{name}.weight"], dtype=torch.bool)
        for share, start, end in zip(
            [0.0, 0.5, 0.75, 1], trainer.before, trainer.after, strict=True
        ):
            still = start[name] == end[name]
            # An epoch with momentum moves every free weight, so what did not move was frozen.
            assert still.sum() == round(share * n)
            assert (still | ~fixed).all()
            assert torch.equal(end[name][still], round_to_grid(end[name], grid)[still])
            fixed = still
        assert torch.equal(frozen.get_submodule(name).weight, trainer.after[-1][name])
    assert not torch.equal(frozen.fc1.bias, model.fc1.bias)
    assert list(frozen.state_dict()) == list(before)


def test_the_nearest_go_first(model, plan):
    trainer = Trainer()
    freeze_incrementally(model, plan, [0.25, 1], trainer)
    distance = distance_to_grid(model, plan)["fc1.weight"]
    moved = trainer.before[0]["fc1"] != trainer.after[0]["fc1"]
    assert distance[~moved].max() <= distance[moved].min()


def test_the_paper_freezes_the_largest_first(model, plan):
    trainer = Trainer()
    largest = lambda model, plan: {n: -score for n, score in magnitude(model).items()}  # noqa: E731
    freeze_incrementally(model, plan, [0.25, 1], trainer, criterion=largest)
    moved = trainer.before[0]["fc1"] != trainer.after[0]["fc1"]
    sizes = model.fc1.weight.abs()
    assert sizes[~moved].min() >= sizes[moved].max()


def test_pruned_weights_stay_zero_and_do_not_count(model, plan):
    masks, trainer = keep_top({"fc1.weight": model.fc1.weight.abs()}, 0.7), Trainer()
    frozen = freeze_incrementally(model, plan, [0.0, 0.5, 1], trainer, masks=masks)
    keep = masks["fc1.weight"]
    assert not frozen.fc1.weight[~keep].any()
    for share, start, end in zip([0.0, 0.5, 1], trainer.before, trainer.after, strict=True):
        still = (start["fc1"] == end["fc1"]) & keep
        assert still.sum() == pytest.approx(share * keep.sum().item(), abs=0.5)
    assert all((d < 1e-5).all() for d in distance_to_grid(frozen, plan).values())
    start = apply_masks(model, masks)
    again = freeze_incrementally(start, plan, [0.0, 0.5, 1], Trainer(), masks=masks)
    assert torch.equal(frozen.fc1.weight, again.fc1.weight)


def test_biases_freeze_with_the_weights(model, plan):
    step = QParams(torch.tensor(0.05), torch.tensor(0), -127, 127)
    plan = plan | {"fc1.bias": step, "fc2.bias": step}
    frozen = freeze_incrementally(model, plan, [0.5, 1], Trainer())
    assert all((d < 1e-4).all() for d in distance_to_grid(frozen, plan).values())
    assert not torch.equal(frozen.fc1.bias, model.fc1.bias)
    weights_only = lambda model, plan: magnitude(model)  # noqa: E731
    with pytest.raises(ValueError, match=r"did not score 'fc1.bias': take it out of the plan"):
        freeze_incrementally(model, plan, [1], Trainer(), criterion=weights_only)


def test_only_the_weights_of_the_plan_freeze(model, plan):
    trainer = Trainer()
    frozen = freeze_incrementally(model, {"fc2.weight": plan["fc2.weight"]}, [1], trainer)
    assert not torch.equal(frozen.fc1.weight, model.fc1.weight)
    expected = round_to_grid(model.fc2.weight, plan["fc2.weight"])
    assert torch.equal(frozen.fc2.weight, expected)


@pytest.mark.parametrize("fractions", [[], [0.5], [0.5, 0.2, 1], [0.5, 1.2], [1.0, 0.5]])
def test_fractions_rise_to_one(model, plan, fractions):
    with pytest.raises(ValueError, match="rising, and 1 at the end"):
        freeze_incrementally(model, plan, fractions, Trainer())


def test_fractions_below_zero_are_refused(model, plan):
    with pytest.raises(ValueError, match="is a fraction"):
        freeze_incrementally(model, plan, [-0.5, 1], Trainer())


def test_a_finetune_that_lets_go_is_refused(model, plan):
    with pytest.raises(ValueError, match=r"no longer holds what is frozen of 'fc1.weight'"):
        freeze_incrementally(model, plan, [0.5, 1], lambda held: model)
