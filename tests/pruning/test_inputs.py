"""Inputs of a network, against numbers by hand, and against data in which they are zero."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pruneedu.models import mlp, small_cnn
from pruneedu.pruning import apply_masks, input_masks, keep_top, magnitude, per_input


def three_inputs():
    model = mlp(3, 2, 2)
    with torch.no_grad():
        model.fc1.weight.copy_(torch.tensor([[3.0, 0.0, -1.0], [-4.0, 1.0, 1.0]]))
    return model


def test_per_input_by_hand():
    model = three_inputs()
    scores = magnitude(model)
    assert per_input(scores, model)["input"].tolist() == [7, 1, 2]
    assert per_input(scores, model, torch.amax)["input"].tolist() == [4, 1, 1]
    norms = per_input(scores, model, torch.linalg.vector_norm)["input"]
    torch.testing.assert_close(norms, torch.tensor([5.0, 1.0, 2**0.5]))


def test_input_masks_by_hand():
    model = three_inputs()
    masks = input_masks(keep_top(per_input(magnitude(model), model), 1 / 3), model)
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "fc1.weight": [[True, False, True]] * 2
    }


@given(st.lists(st.booleans(), min_size=6, max_size=6), st.integers(0, 99))
def test_a_dropped_input_is_an_input_of_zero(keep, seed):
    torch.manual_seed(seed)
    model, x, keep = mlp(6, 5, 3).eval(), torch.randn(4, 2, 3), torch.tensor(keep)
    pruned = apply_masks(model, input_masks({"input": keep}, model))
    torch.testing.assert_close(pruned(x), model(x * keep.view(2, 3)))


def test_per_input_refuses_what_it_cannot_read():
    model = three_inputs()
    with pytest.raises(ValueError, match=r"the scores hold 'fc2\.weight'"):
        per_input({"fc2.weight": torch.ones(2, 2)}, model)
    with pytest.raises(ValueError, match=r"'fc1.weight' \(2, 3\) reads the inputs"):
        per_input({"fc1.weight": torch.ones(3, 2)}, model)
    with pytest.raises(ValueError, match=r"the result of reduce has shape \(\)"):
        per_input(magnitude(model), model, lambda score, dim: score.sum())
    with pytest.raises(ValueError, match="'conv1', is Conv2d"):
        per_input(magnitude(small_cnn((2,))), small_cnn((2,)))


def test_input_masks_refuse_what_does_not_fit():
    model = three_inputs()
    with pytest.raises(ValueError, match=r"the masks name 'fc1\.weight'"):
        input_masks({"fc1.weight": torch.ones(2, 3, dtype=torch.bool)}, model)
    with pytest.raises(ValueError, match=r"the mask has shape \(1,\)"):
        input_masks({"input": torch.tensor([True])}, model)
    with pytest.raises(ValueError, match="'conv1', is Conv2d"):
        input_masks({"input": torch.tensor([True])}, small_cnn((2,)))
    with pytest.raises(ValueError, match="the first layer, '', is NoneType"):
        input_masks({"input": torch.tensor([True])}, torch.nn.ReLU())
