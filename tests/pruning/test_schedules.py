import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pruneedu.models import mlp
from pruneedu.pruning import (
    apply_masks,
    cubic,
    iterative,
    keep_top,
    magnitude,
    one_shot,
    prune_iteratively,
)
from pruneedu.tensors import prunable, sparsity

FRACTIONS = st.floats(0, 1)


def test_one_shot():
    assert one_shot(0.7) == [0.7]


def test_iterative_by_hand():
    # Each round halves what remains: 1/2, 1/4, 1/8.
    assert iterative(0.875, 3) == pytest.approx([0.5, 0.75, 0.875])
    assert iterative(1.0, 3) == [1.0, 1.0, 1.0]
    assert iterative(0.9, 1) == one_shot(0.9)


@given(st.floats(0, 0.999), st.integers(1, 30))
def test_iterative_drops_the_same_fraction_of_what_remains(final, rounds):
    targets = [0.0, *iterative(final, rounds)]
    factors = [(1 - after) / (1 - before) for before, after in pairwise(targets)]
    assert factors == pytest.approx([factors[0]] * rounds, rel=1e-6)


def test_cubic_by_hand():
    # (1 - 1/4)³ = 27/64 and so on, of the way from 0.2 to 1.
    expected = [1 - 0.8 * left / 64 for left in (27, 8, 1, 0)]
    assert cubic(1.0, 4, start=0.2) == pytest.approx(expected)


@given(FRACTIONS, st.integers(1, 40), FRACTIONS)
def test_schedules_rise_and_end_exactly_at_the_target(one, steps, other):
    start, final = sorted([one, other])
    for targets in (cubic(final, steps, start), iterative(final, steps), one_shot(final)):
        assert targets[-1] == final
        assert all(0 <= before <= after + 1e-15 for before, after in pairwise(targets))
    assert all(target >= start for target in cubic(final, steps, start))


@given(FRACTIONS, st.integers(3, 40))
def test_cubic_prunes_ever_more_slowly(final, steps):
    targets = [0.0, *cubic(final, steps)]
    cuts = [after - before for before, after in pairwise(targets)]
    assert all(later <= cut + 1e-12 for cut, later in pairwise(cuts))


@pytest.mark.parametrize("schedule", [one_shot, lambda s: iterative(s, 3), lambda s: cubic(s, 3)])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_schedules_refuse_what_is_no_fraction(schedule, value):
    with pytest.raises(ValueError, match=f"sparsity is {value}"):
        schedule(value)


def test_schedules_say_what_is_wrong():
    with pytest.raises(ValueError, match="rounds is 0: give a whole number"):
        iterative(0.5, 0)
    with pytest.raises(ValueError, match=r"steps is 2\.5: give a whole number"):
        cubic(0.5, 2.5)
    with pytest.raises(ValueError, match=r"start is 0\.6, above the final sparsity 0\.5"):
        cubic(0.5, 4, start=0.6)


def finetune(model, after_step):
    """Three steps of SGD with momentum, which would revive weights without `after_step`."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        optimizer.zero_grad()
        (model(x) - 1).square().mean().backward()
        optimizer.step()
        after_step(model)
    return model


@pytest.fixture
def model():
    torch.manual_seed(0)
    return mlp(6, 8, 4)


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_nothing_revives_from_round_to_round(model, scope):
    seen = []

    def watched(model, after_step):
        model = finetune(model, after_step)
        seen.append({name: weight != 0 for name, weight in prunable(model).items()})
        return model

    schedule = cubic(0.8, 4)
    pruned, masks = prune_iteratively(model, magnitude, schedule, watched, scope)
    assert [sparsity(alive) for alive in seen] == pytest.approx(schedule, abs=0.02)
    for before, after in pairwise(seen):
        assert all((after[name] <= before[name]).all() for name in masks)
    assert all(torch.equal(weight != 0, masks[n]) for n, weight in prunable(pruned).items())


def test_each_round_scores_the_current_model(model):
    # Fine-tuning turns the order of the weights round, so the second cut must follow the new one.
    def reverse(model, after_step):
        with torch.no_grad():
            for weight in prunable(model).values():
                weight.copy_(1 / weight)
        after_step(model)
        return model

    _, masks = prune_iteratively(model, magnitude, [0.25, 0.5], reverse)
    first = keep_top(magnitude(model), 0.25)
    turned = {name: 1 / score for name, score in magnitude(model).items()}
    expected = keep_top(turned, 0.5, masks=first)
    assert all(torch.equal(masks[name], expected[name]) for name in masks)


def test_the_input_stays_and_no_finetuning_is_one_shot(model):
    before = copy.deepcopy(model.state_dict())
    pruned, _ = prune_iteratively(model, magnitude, one_shot(0.5), lambda m, after_step: m)
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in before)
    once = apply_masks(model, keep_top(magnitude(model), 0.5))
    assert all(torch.equal(pruned.state_dict()[k], v) for k, v in once.state_dict().items())


def test_a_finetune_that_forgets_the_masks_is_named(model):
    with pytest.raises(ValueError, match=r"finetune brought \d+ dropped entries back"):
        prune_iteratively(model, magnitude, [0.5], lambda m, after_step: finetune(m, lambda _: _))


@pytest.mark.parametrize("sparsities", [[], [0.5, 0.4]])
def test_targets_must_rise(model, sparsities):
    with pytest.raises(ValueError, match="sparsities are"):
        prune_iteratively(model, magnitude, sparsities, finetune)
