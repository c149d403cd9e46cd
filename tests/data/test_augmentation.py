"""Warped images, read off two ramps: what they hold after a warp is where each pixel comes from."""

import math
from functools import partial

import pytest
import torch

from pruneedu.data import Split, load
from pruneedu.data.augmentation import augmented, warp

NOTHING = dict.fromkeys(["rotation", "scale", "shear", "shift", "elastic"], 0.0)


def ramps(images, height=31, width=25):
    """Return images with two channels: the place of each pixel across and down from the middle."""
    down, across = (torch.arange(size) - (size - 1) / 2 for size in (height, width))
    planes = torch.stack(torch.meshgrid(across, down, indexing="xy"))
    return planes.expand(images, 2, height, width).contiguous()


def affine(seed=0, images=400, **ends):
    """Return the affine map [images, 2, 2] and the shift [images, 2] that a warp has drawn."""
    middle = (..., slice(10, 21), slice(8, 17))
    before = ramps(images)[middle].flatten(2).transpose(1, 2)
    after = warp(ramps(images), seed, **NOTHING | ends)[middle].flatten(2).transpose(1, 2)
    ones = torch.ones(*before.shape[:2], 1)
    solved = torch.linalg.lstsq(torch.cat([before, ones], dim=2), after)
    assert (torch.cat([before, ones], dim=2) @ solved.solution - after).abs().max() < 1e-3
    return solved.solution[:, :2].transpose(1, 2), solved.solution[:, 2]


def assert_even(draws, end):
    """Assert that numbers look evenly drawn from -end to end."""
    assert 0.97 * end < draws.abs().max() < end * (1 + 1e-4)
    assert draws.std().item() == pytest.approx(end / math.sqrt(3), rel=0.1)
    assert draws.mean().abs() < 0.1 * end


def test_rotation_turns_by_so_many_degrees():
    turned, shift = affine(rotation=20.0)
    assert_even(torch.atan2(turned[:, 1, 0], turned[:, 0, 0]).rad2deg(), 20)
    torch.testing.assert_close(
        turned @ turned.transpose(1, 2), torch.eye(2).expand(400, 2, 2), rtol=0, atol=1e-3
    )
    assert (torch.linalg.det(turned) > 0).all()
    assert shift.abs().max() < 1e-3


def test_scale_is_a_fraction_of_the_size():
    scaled, _ = affine(scale=0.2)
    assert_even(scaled[:, 0, 0] - 1, 0.2)
    torch.testing.assert_close(scaled, scaled[:, :1, :1] * torch.eye(2), rtol=0, atol=1e-3)


def test_shear_moves_each_row_by_its_height():
    sheared, _ = affine(shear=0.3)
    assert_even(sheared[:, 0, 1], 0.3)
    assert (sheared[:, 1] - torch.tensor([0.0, 1.0])).abs().max() < 1e-3
    assert (sheared[:, 0, 0] - 1).abs().max() < 1e-3


def test_shifts_are_in_pixels():
    same, shift = affine(shift=2.0)
    assert (same - torch.eye(2)).abs().max() < 1e-3
    assert_even(shift[:, 0], 2)
    assert_even(shift[:, 1], 2)
    assert torch.corrcoef(shift.T)[0, 1].abs() < 0.15


def test_bends_are_smooth_and_of_the_given_size():
    moved = warp(ramps(300), 0, **NOTHING | {"elastic": 0.5}) - ramps(300)
    middle = moved[..., 15, 12]  # One of the 5 × 5 places.
    assert middle.std().item() == pytest.approx(0.5, rel=0.1)
    inside = moved[..., 4:-4, 4:-4]
    assert inside.diff(dim=3).abs().max() < 0.6
    assert inside.diff(dim=3).std() < inside.std() / 3


def test_every_image_moves_differently_and_the_same_seed_in_the_same_way():
    x = load("digits").train.x[:1].repeat(5, 1, 1, 1)
    first = warp(x, seed=3)
    assert torch.equal(first, warp(x, seed=3))
    assert not torch.equal(first, warp(x, seed=4))
    assert len(first.flatten(1).unique(dim=0)) == 5
    assert first.min() >= 0
    assert first.max() <= 1


def test_what_comes_in_from_outside_is_zero():
    moved = warp(torch.ones(50, 1, 8, 8), seed=0, **NOTHING | {"shift": 4.0})
    assert moved.amin((1, 2, 3)).min() == 0
    assert moved.max() == pytest.approx(1)


def test_copies_stand_behind_the_originals_with_their_labels():
    data = Split(torch.rand(4, 3, 8, 8), torch.arange(4))
    more = augmented(data, 3, partial(warp, rotation=30.0))
    assert more.x.shape == (16, 3, 8, 8)
    assert torch.equal(more.x[:4], data.x)
    assert torch.equal(more.y, data.y.repeat(4))
    assert torch.equal(more.x[8:12], warp(data.x, 1, rotation=30.0))
    assert augmented(data, 0).x.shape == data.x.shape


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match=r"x has shape \[2, 40\]: give images"):
        warp(torch.ones(2, 40), seed=0)
