import itertools
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pruneedu.data import Split
from pruneedu.models import mlp
from pruneedu.quantization.mixed import bit_sensitivity, choose_bits, packed_bytes
from pruneedu.quantization.ranges import input_ranges, weight_ranges
from pruneedu.quantization.rewriting import plan_grids, quantize
from pruneedu.quantization.schemes import textbook
from pruneedu.training import evaluate


@st.composite
def tables(draw):
    names = [f"fc{i}" for i in range(draw(st.integers(1, 4)))]
    widths = draw(st.lists(st.integers(2, 8), min_size=1, max_size=4, unique=True))
    cost = st.floats(-1, 10) | st.integers(0, 2).map(float)
    costs = {name: {bits: draw(cost) for bits in widths} for name in names}
    return costs, {name: draw(st.integers(1, 40)) for name in names}


@settings(deadline=None, max_examples=60)
@given(tables(), st.integers(0, 150))
def test_no_other_bits_that_fit_cost_less(table, budget):
    costs, sizes = table
    tried = [dict(zip(costs, bits, strict=True)) for bits in itertools.product(*costs.values())]

    def used(bits):
        return sum(-(-sizes[name] * b // 8) for name, b in bits.items())

    def cost(bits):
        return sum(costs[name][b] for name, b in bits.items())

    fitting = [bits for bits in tried if used(bits) <= budget]
    if not fitting:
        least = min(map(used, tried))
        with pytest.raises(ValueError, match=f"{budget} bytes, but the fewest bits take {least}"):
            choose_bits(costs, sizes, budget)
        return
    found = choose_bits(costs, sizes, budget)
    assert list(found) == list(costs)
    assert used(found) <= budget
    assert cost(found) == pytest.approx(min(map(cost, fitting)), abs=1e-9)


def test_equal_costs_take_the_fewest_bytes():
    costs = {"fc1": {4: 0.0, 8: 0.0, 2: 0.5}}
    assert choose_bits(costs, {"fc1": 10}, budget=100) == {"fc1": 4}


def test_bad_tables_are_refused():
    with pytest.raises(ValueError, match="'fc1' has no size"):
        choose_bits({"fc1": {2: 0.0}}, {}, 10)
    for costs in ({}, {2: torch.nan}, {2: 0.0, 4: torch.inf}):
        with pytest.raises(ValueError, match="the costs of 'fc1' are"):
            choose_bits({"fc1": costs}, {"fc1": 3}, 10)


@pytest.mark.parametrize(("count", "bits"), [(0, 3), (1, 1), (8, 1), (9, 1), (1000, 7)])
def test_packed_bytes_hold_all_bits_and_no_byte_more(count, bits):
    assert 8 * packed_bytes(count, bits) >= count * bits > 8 * (packed_bytes(count, bits) - 1)


def test_sensitivity_quantizes_one_thing_at_a_time():
    torch.manual_seed(0)
    model, data = mlp(8, 6, 3).eval(), Split(torch.randn(40, 8), torch.arange(40) % 3)
    loss = partial(
        evaluate, split=data, metric=lambda z, y: torch.nn.functional.cross_entropy(z, y).item()
    )
    ranges = weight_ranges(model) | input_ranges(model, data)
    found = bit_sensitivity(model, ranges, loss, bits=[2, 8], scheme=textbook)
    assert list(found) == ["fc1.weight", "fc2.weight", "fc1", "fc2"]
    for name, costs in found.items():
        alone = quantize(model, plan_grids({name: ranges[name]}, 2, textbook))
        assert costs[2] == loss(alone) - loss(model)
        assert list(costs) == [2, 8]
        assert 0 < abs(costs[8]) < 0.01
