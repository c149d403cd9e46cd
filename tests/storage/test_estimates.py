"""The estimated cost of a position, against the entropy of the layer and against the coder."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from pruneedu.storage import Contents, Plain, encode
from pruneedu.storage.estimates import position_bits


@given(st.integers(0, 2**16 - 1))
def test_it_is_a_cost_between_0_and_9_bits_of_each_entry(bits):
    mask = torch.tensor([bits >> i & 1 for i in range(16)]).bool().view(4, 4)
    cost = position_bits({"fc1.weight": mask})["fc1.weight"]
    assert cost.shape == mask.shape
    assert cost.min() >= 0
    assert cost.max() <= 9


def test_evenly_spread_entries_cost_the_log_odds_of_the_layer():
    # Each row and column of 7 × 7 keeps one entry, so no context says more than the layer does.
    cost = position_bits({"fc1.weight": torch.eye(7, 7).bool().repeat(1, 2)})["fc1.weight"]
    odds = (12 + 0.5) / (2 + 0.5) * (6 + 0.5) / (1 + 0.5) / ((84 + 0.5) / (14 + 0.5))
    torch.testing.assert_close(cost, torch.full((7, 14), math.log2(odds)))


def test_a_place_beside_kept_ones_of_an_image_is_cheaper():
    mask = torch.zeros(50, 784, dtype=torch.bool)
    mask[0, [100, 101, 128, 129]] = True
    row = position_bits({"fc1.weight": mask})["fc1.weight"][0].view(28, 28)
    assert row[4, 18] < row[20, 18]


def test_a_full_row_and_column_are_cheap_and_the_coder_agrees():
    torch.manual_seed(0)
    crowded = torch.zeros(60, 60)
    crowded[:12, :12] = (torch.rand(12, 12) < 0.6).float()
    spread = crowded.flatten()[torch.randperm(3600)].view(60, 60)
    sizes = [len(encode(Contents({"w": Plain(mask)}))) for mask in (crowded, spread)]
    costs = [
        position_bits({"w": mask.bool()})["w"][mask.bool()].sum() for mask in (crowded, spread)
    ]
    assert sizes[0] < sizes[1]
    assert costs[0] < costs[1]
