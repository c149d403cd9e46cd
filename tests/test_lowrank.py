"""Low rank against NumPy's singular values, against exhaustive search, and layer against chain."""

import itertools
import re
from collections import OrderedDict
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pruneedu.data import Split
from pruneedu.evaluation import evaluate
from pruneedu.lowrank import (
    break_even,
    by_channel,
    by_input,
    by_space,
    factorize,
    matrices,
    ranks_by_budget,
    ranks_by_energy,
    ranks_by_score,
    spatial_svd,
    truncated_svd,
    tucker2,
)
from pruneedu.lowrank.rewriting import chain
from pruneedu.models import mlp, mnist1d_cnn, small_cnn
from pruneedu.training import fit

UNFOLDED = {truncated_svd: by_channel, spatial_svd: by_space}
# A layer of each kind, with what moves its filter, and the shape of its input.
LAYERS = {
    "linear": (lambda: nn.Linear(7, 5), (3, 7)),
    "linear over positions": (lambda: nn.Linear(7, 5, bias=False), (3, 2, 7)),
    "conv1d": (lambda: nn.Conv1d(3, 4, 5, stride=2, padding=2), (2, 3, 9)),
    "conv2d": (lambda: nn.Conv2d(3, 4, 3), (2, 3, 8, 7)),
    "strides": (lambda: nn.Conv2d(3, 4, (3, 2), stride=(2, 3), padding=(1, 2)), (2, 3, 9, 7)),
    "size 1 with strides": (lambda: nn.Conv2d(3, 4, (1, 3), stride=2, padding=1), (2, 3, 9, 7)),
    "dilation": (lambda: nn.Conv2d(3, 4, 3, dilation=(1, 2), bias=False), (2, 3, 9, 8)),
    "same": (lambda: nn.Conv2d(3, 4, (4, 3), padding="same", dilation=2), (2, 3, 9, 8)),
    "reflection": (lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), (2, 3, 9, 8)),
    "float64": (lambda: nn.Conv2d(3, 4, 3, padding=1, dtype=torch.float64), (2, 3, 9, 8)),
}


def full_rank(layer, method):
    """Return the highest rank, with which a method loses nothing."""
    weight = layer.weight
    if method is tucker2:
        return weight.shape[1], weight.shape[0]
    return min(UNFOLDED[method](weight).shape)


def tail(matrix, rank):
    """Return Σ_{i > r} σ_i², the squared error of the nearest matrix of rank r."""
    values = np.linalg.svd(matrix.detach().double().numpy(), compute_uv=False)
    return (values[rank:] ** 2).sum()


# --- methods -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("method", [truncated_svd, spatial_svd, tucker2])
def test_at_full_rank_the_chain_equals_the_layer(method, name):
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    layer = make()
    if (method is spatial_svd and layer.weight.ndim < 4) or (
        method is tucker2 and "linear" in name
    ):
        pytest.skip("not for this layer")
    x = torch.randn(shape, dtype=layer.weight.dtype)
    factors = method(layer.weight.detach(), full_rank(layer, method))
    torch.testing.assert_close(chain(layer, factors)(x), layer(x), rtol=0, atol=1e-5)


@given(shape=st.tuples(*[st.integers(1, 4)] * 4), seed=st.integers(0, 999), data=st.data())
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("method", [truncated_svd, spatial_svd])
def test_the_error_is_that_of_eckart_and_young(method, shape, seed, data):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    matrix = UNFOLDED[method](weight)
    rank = data.draw(st.integers(1, min(matrix.shape)))
    first, second = method(weight, rank)
    # Each factor stretched to the size of the filter: their products are the weight itself.
    again = torch.einsum(
        "oryx,riyx->oiyx", second.expand(-1, -1, *shape[2:]), first.expand(rank, -1, *shape[2:])
    )
    assert (again - weight).square().sum().item() == pytest.approx(tail(matrix, rank), abs=1e-9)
    sizes = [factor.flatten(1).square().sum().item() for factor in (first, second)]
    assert sizes[0] == pytest.approx(sizes[1])


@given(shape=st.tuples(*[st.integers(1, 5)] * 4), seed=st.integers(0, 999), data=st.data())
@settings(max_examples=40, deadline=None)
def test_tucker_loses_at_most_what_its_two_ranks_cut_off(shape, seed, data):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    into = data.draw(st.integers(1, min(by_input(weight).shape)))
    out_of = data.draw(st.integers(1, min(by_channel(weight).shape)))
    inwards, core, outwards = tucker2(weight, (into, out_of))
    again = torch.einsum("oa,abyx,bi->oiyx", outwards[..., 0, 0], core, inwards[..., 0, 0])
    lost = (again - weight).square().sum().item()
    cut = tail(by_input(weight), into), tail(by_channel(weight), out_of)
    assert max(cut) - 1e-9 <= lost <= sum(cut) + 1e-9


def test_a_filter_that_is_a_product_has_spatial_rank_1_and_channel_rank_1():
    blur = torch.outer(torch.tensor([1.0, 2.0, 1.0]), torch.tensor([1.0, 0.0, -1.0]))
    weight = blur[None, None]
    vertical, horizontal = spatial_svd(weight, 1)
    torch.testing.assert_close(vertical.flatten().outer(horizontal.flatten()), blur)
    # Two filters that differ by a factor need one filter and two numbers.
    first, second = truncated_svd(torch.stack([blur, -3 * blur])[:, None], 1)
    assert first.shape == (1, 1, 3, 3)
    assert (second[1] / second[0]).item() == pytest.approx(-3)


# --- factorize -----------------------------------------------------------------------------------


def test_the_factors_hold_r_times_m_plus_n_weights():
    model = small_cnn((4, 8), classes=4)
    small = factorize(model, {"conv2": 3, "fc": 2})
    count = {name: w.numel() for name, w in small.named_parameters() if w.ndim > 1}
    assert count["conv2.0.weight"] + count["conv2.1.weight"] == 3 * (8 + 4 * 9)
    assert count["fc.0.weight"] + count["fc.1.weight"] == 2 * (4 + 8)
    assert [name for name, _ in small.named_children()] == [n for n, _ in model.named_children()]
    assert not hasattr(small, "architecture")


@pytest.mark.parametrize(
    ("conv", "rank", "kernels"),
    [
        (truncated_svd, 3, [(3, 3), (1, 1)]),
        (spatial_svd, 4, [(3, 1), (1, 3)]),
        (tucker2, (2, 3), [(1, 1), (3, 3), (1, 1)]),
    ],
)
def test_a_convolution_becomes_a_chain_of_thinner_ones(conv, rank, kernels):
    model = small_cnn((4, 8), classes=4)
    small = factorize(model, {"conv2": rank}, conv)
    assert [layer.kernel_size for layer in small.conv2] == kernels
    assert small(torch.randn(5, 1, 8, 8)).shape == (5, 4)


def test_settings_of_the_layer_stay():
    model = mlp(16, 12, 4).double().eval()
    model.fc1.bias.requires_grad_(False)
    small = factorize(model, {"fc1": 3})
    frozen = [name for name, p in small.named_parameters() if not p.requires_grad]
    assert frozen == ["fc1.1.bias"]
    assert not any(module.training for module in small.modules())
    assert {p.dtype for p in small.parameters()} == {torch.float64}
    model.fc1.weight.requires_grad_(False)
    small = factorize(model.train(), {"fc1": 3})
    assert not small.fc1[0].weight.requires_grad
    assert small.fc1[1].training


def test_a_model_that_is_a_layer_and_layers_in_layers():
    assert [
        tuple(p.shape) for p in factorize(nn.Linear(8, 8, bias=False), {"": 2}).parameters()
    ] == [
        (2, 8),
        (8, 2),
    ]
    nested = nn.Sequential(nn.Sequential(nn.Linear(8, 8), nn.ReLU()), nn.Linear(8, 8))
    small = factorize(nested, {"0.0": 2, "1": 3})
    assert [tuple(p.shape) for p in small.parameters() if p.ndim > 1] == [
        (2, 8),
        (8, 2),
        (3, 8),
        (8, 3),
    ]
    # What was factorized can be factorized again.
    assert factorize(small, {"1.1": 1})(torch.ones(1, 8)).shape == (1, 8)


@pytest.mark.parametrize(
    ("ranks", "conv", "message"),
    [
        ({"fc1": 25}, truncated_svd, r"rank 25 of 'fc1' saves nothing: 2,400 weights would become "
            r"2,500; give a rank below the break-even rank 24, or leave"),
        ({"fc1": 24}, truncated_svd, "2,400 weights would become 2,400"),
        ({"conv2": (4, 8)}, tucker2, r"rank \(4, 8\) of 'conv2' saves nothing.* give lower ranks"),
        ({"fc9": 3}, truncated_svd, "no layer 'fc9': its layers are 'conv2', 'grouped', 'fc1'"),
        ({"fc1": 41}, truncated_svd, "'fc1' does not factorize: the rank is 41, but a matrix of "
            "40 × 60 has ranks from 1 to 40"),
        ({"fc1": 0}, truncated_svd, "the rank is 0"),
        ({"fc1": 2.0}, truncated_svd, "the rank is 2.0: give a whole number"),
        ({"conv2": 2}, tucker2, "the ranks are 2: Tucker-2 needs a pair"),
        ({"conv1": 2}, spatial_svd, r"'conv1' .*shape \(25, 1, 5\) has no height and width"),
        ({"grouped": 1}, truncated_svd, "'grouped' has 4 groups"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(ranks, conv, message):
    layers = {
        "conv2": nn.Conv2d(4, 8, 3),
        "grouped": nn.Conv2d(4, 4, 3, groups=4),
        "fc1": nn.Linear(60, 40),
    }
    model = mnist1d_cnn() if "conv1" in ranks else nn.Sequential(OrderedDict(layers))
    with pytest.raises((ValueError, TypeError), match=message):
        factorize(model, ranks, conv)


@pytest.mark.parametrize("what", ["module", "weight"])
def test_a_layer_that_would_stay_at_its_other_place_is_refused(what):
    model = nn.Sequential(nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 20), nn.Linear(20, 20))
    if what == "module":
        model[2] = model[0]
    else:
        model[2].weight = model[0].weight
    with pytest.raises(
        ValueError, match=r"'0' has a weight that stays, as it is '0\.weight' and '2"
    ):
        factorize(model, {"0": 3})
    assert ranks_by_score(model, lambda network: 1.0, drop=0) == {"3": 1}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("conv", "rank"), [(truncated_svd, 3), (spatial_svd, 4), (tucker2, (3, 5))]
)
def test_factors_hold_their_own_numbers_and_no_more(conv, rank, dtype):
    small = factorize(small_cnn((8, 16)).to(dtype), {"conv2": rank, "fc": 1}, conv)
    for weight in small.parameters():
        assert weight.is_contiguous()  # As safetensors wants them.
        assert weight.untyped_storage().nbytes() == weight.numel() * weight.element_size()


def test_a_weight_that_is_not_finite_is_refused():
    model = mlp(16, 12, 4)
    model.fc2.weight.data[1, 2] = torch.nan
    with pytest.raises(ValueError, match="'fc2' does not factorize: NaN or infinity in the weight"):
        factorize(model, {"fc2": 1})
    for plan in (partial(ranks_by_energy, energy=0.9), partial(ranks_by_budget, weights=99)):
        with pytest.raises(ValueError, match="NaN or infinity in the matrix of 'fc2'"):
            plan(matrices(model))


@pytest.mark.parametrize(
    ("method", "rank", "shape"),
    [(truncated_svd, 1, (4,)), (spatial_svd, 1, (8, 4)), (tucker2, (2, 2), (8, 4))],
)
def test_a_weight_that_a_method_cannot_split_is_refused(method, rank, shape):
    with pytest.raises(ValueError, match=re.escape(str(shape))):
        method(torch.ones(shape), rank)
    for wrong, found in ((torch.ones(8, 8, 3, 3).long(), r"torch\.int64"), ([[1.0]], "list")):
        with pytest.raises(TypeError, match=f"expected a tensor of floats .* got {found}"):
            method(wrong, rank)
    with pytest.raises(ValueError, match="NaN or infinity in the weight"):
        method(torch.full((8, 8, 3, 3), torch.nan), rank)


# --- ranks ---------------------------------------------------------------------------------------


@given(seed=st.integers(0, 999), energy=st.floats(0.01, 1))
@settings(max_examples=40, deadline=None)
def test_the_rank_by_energy_is_the_smallest_that_keeps_it(seed, energy):
    matrix = torch.randn(6, 9, generator=torch.Generator().manual_seed(seed))
    rank = ranks_by_energy({"fc1": matrix}, energy)["fc1"]
    lost = (1 - energy) * tail(matrix, 0)
    assert tail(matrix, rank) <= lost + 1e-9
    assert rank == 1 or tail(matrix, rank - 1) > lost - 1e-9


@pytest.mark.parametrize("energy", [0, -0.1, 1.1, float("nan")])
def test_an_energy_that_is_no_share_is_refused(energy):
    with pytest.raises(ValueError, match="energy is"):
        ranks_by_energy({"fc1": torch.eye(3)}, energy)


@pytest.mark.parametrize(
    "plan", [partial(ranks_by_energy, energy=0.9), partial(ranks_by_budget, weights=999)]
)
def test_a_weight_that_was_not_unfolded_is_refused(plan):
    with pytest.raises(ValueError, match=r"'conv' has shape \(8, 4, 3, 3\): unfold it to two axes"):
        plan({"conv": torch.ones(8, 4, 3, 3)})


@given(seed=st.integers(0, 999), weights=st.integers(48, 200))
@settings(max_examples=30, deadline=None)
def test_ranks_by_budget_are_the_best_of_all_where_layers_cost_the_same(seed, weights):
    generator = torch.Generator().manual_seed(seed)
    names = ["a", "b", "c"]
    layers = {name: torch.randn(8, 8, generator=generator) for name in names}
    share = {n: [1 - tail(m, r) / tail(m, 0) for r in range(4)] for n, m in layers.items()}
    plans = [p for p in itertools.product([1, 2, 3], repeat=3) if sum(p) * 16 <= weights]
    best = max(sum(share[n][r] for n, r in zip(names, plan, strict=True)) for plan in plans)
    found = ranks_by_budget(layers, weights)
    assert sum(found.values()) * 16 <= weights
    assert sum(share[n][r] for n, r in found.items()) == pytest.approx(best)


def test_a_budget_is_kept_by_the_factors_that_are_made():
    model = mlp(64, 40, 30, 10)
    layers = matrices(model)
    del layers["fc3"]
    small = factorize(model, ranks_by_budget(layers, weights=1_500))
    weights = sum(w.numel() for n, w in small.named_parameters() if w.ndim > 1 and "fc3" not in n)
    assert 1_500 - (64 + 40) < weights <= 1_500


def test_a_budget_is_refused_where_it_buys_nothing():
    with pytest.raises(
        ValueError, match=r"a budget of 15 weights does not pay for rank 1 .* at least 16"
    ):
        ranks_by_budget({"a": torch.eye(8)}, 15)
    with pytest.raises(ValueError, match="a budget of nan weights does not pay"):
        ranks_by_budget({"a": torch.eye(8)}, float("nan"))
    with pytest.raises(ValueError, match=r"no rank of 'a' saves anything: .* 1 × 9, .*rank 0\.9"):
        ranks_by_budget({"a": torch.ones(1, 9)}, 50)


@given(m=st.integers(1, 50), n=st.integers(1, 50))
def test_break_even_parts_the_ranks_that_save_from_those_that_do_not(m, n):
    below = [rank for rank in range(1, 60) if rank * (m + n) < m * n]
    assert below == [rank for rank in range(1, 60) if rank < break_even(m, n)]


@pytest.mark.parametrize(("m", "n"), [(-3, 5), (5, 0), (0, 0), (2.5, 5)])
def test_break_even_is_that_of_a_matrix(m, n):
    with pytest.raises(
        ValueError, match=r"(rows|columns) is .*: give a whole number of at least 1"
    ):
        break_even(m, n)


def test_the_break_even_rank_is_shown_in_few_digits():
    with pytest.raises(ValueError, match=r"the break-even rank 5\.33, or leave"):
        factorize(nn.Linear(16, 8), {"": 6})


def digits_like(rows=160):
    """Return separable data in 12 dimensions."""
    x = torch.randn(rows, 12, generator=torch.Generator().manual_seed(0))
    return Split(x, x[:, :4].argmax(1))


def test_ranks_by_score_are_those_of_an_exhaustive_search():
    data = digits_like()
    model = fit(mlp(12, 16, 4), data, epochs=8).model
    score = partial(
        evaluate,
        split=data,
        metric=lambda logits, y: -nn.functional.cross_entropy(logits, y).item(),
    )
    drop, before, after = 0.3, score(model), {}
    ranks = ranks_by_score(model, score, drop)
    for layer, share, most in (("fc1", 0.5, 6), ("fc2", 1.0, 3)):
        tried = {
            rank: score(factorize(model, {**after, layer: rank})) for rank in range(1, most + 1)
        }
        enough = [rank for rank, value in tried.items() if value >= before - share * drop]
        after |= {layer: enough[0]} if enough else {}
    assert ranks == after
    assert score(factorize(model, ranks)) >= before - drop


def test_no_drop_of_the_score_leaves_dense_layers_out():
    torch.manual_seed(0)
    model, x = (
        nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 5, 3)),
        torch.randn(2, 4, 6, 6),
    )
    score = lambda network: -(network(x) - model(x)).norm().item()  # noqa: E731
    assert ranks_by_score(model, score, drop=1e-4) == {}
    found = ranks_by_score(model, score, drop=0.8 * model(x).norm().item(), conv=spatial_svd)
    assert list(found) == ["1"]
    with pytest.raises(ValueError, match="drop is -1"):
        ranks_by_score(model, score, drop=-1)
    with pytest.raises(ValueError, match="the model scores nan"):
        ranks_by_score(model, lambda network: float("nan"), drop=0)


def test_a_factorized_network_trains_on():
    data = digits_like()
    model = fit(mlp(12, 16, 4), data, epochs=8).model
    small = factorize(model, ranks_by_budget({"fc1": matrices(model)["fc1"]}, weights=84))
    tuned = fit(small, data, epochs=8)
    assert tuned.history.loss[-1] < tuned.history.loss[0]
    assert evaluate(tuned.model, data) > evaluate(small, data)
    assert isinstance(tuned.model.fc1, nn.Sequential)
