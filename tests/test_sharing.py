"""Codebooks against exhaustive search and scikit-learn, gradients against sums by hand."""

import copy
import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from torch import nn

from pruneedu.data import Split
from pruneedu.evaluation import evaluate
from pruneedu.models import mlp, small_cnn
from pruneedu.pruning import apply_masks, keep_top, magnitude
from pruneedu.sharing import (
    Codebook,
    codebook,
    codebooks,
    density_start,
    finetune_codebooks,
    inertia,
    linear_start,
    lloyd,
    nearest,
    optimal,
    product_codebook,
    random_start,
    share,
)
from pruneedu.tensors import prunable
from pruneedu.training import fit, sgd

STARTS = [linear_start, density_start, random_start]
numbers = st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=12)


def gaussian(n=400, seed=0):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed))


# --- centroids -----------------------------------------------------------------------------------


@given(values=numbers, k=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_optimal_is_the_best_of_all_ways_to_cut_the_sorted_values(values, k):
    k = min(k, len(values))
    ordered = np.sort(np.array(values, dtype=np.float64))
    cuts = itertools.combinations(range(1, len(ordered)), k - 1)
    parts = [np.split(ordered, cut) for cut in cuts]
    best = min(sum(((part - part.mean()) ** 2).sum() for part in cut) for cut in parts)
    values = torch.tensor(values)
    assert inertia(values, optimal(values, k)) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("k", [2, 5, 16])
def test_scikit_learn_is_never_better_than_optimal_nor_far_behind(k):
    values = gaussian()
    theirs = KMeans(k, n_init=3, random_state=0).fit(values.double().numpy()[:, None]).inertia_
    assert inertia(values, optimal(values, k)) <= theirs * (1 + 1e-9) <= theirs * 1.2


@pytest.mark.parametrize("start", STARTS)
def test_lloyd_reaches_a_fixed_point_no_better_than_optimal(start):
    values, k = gaussian(), 8
    found = lloyd(values, k, start)
    assert torch.equal(found, found.sort().values)
    assert inertia(values, optimal(values, k)) <= inertia(values, found)
    assert inertia(values, found) <= inertia(values, start(values, k))
    labels = nearest(values, found)
    means = [values[labels == j].double().mean() for j in range(k)]
    torch.testing.assert_close(found, torch.stack(means))


def test_lloyd_agrees_with_scikit_learn_from_the_same_start():
    values, k = gaussian(), 6
    start = linear_start(values, k)
    theirs = KMeans(k, init=start.numpy()[:, None], n_init=1, tol=0, max_iter=300)
    theirs.fit(values.double().numpy()[:, None])
    np.testing.assert_allclose(lloyd(values, k), np.sort(theirs.cluster_centers_[:, 0]), atol=1e-8)


@given(values=numbers, k=st.integers(1, 6), start=st.sampled_from(STARTS))
@settings(max_examples=60, deadline=None)
def test_no_step_of_lloyd_raises_the_inertia(values, k, start):
    values = torch.tensor(values)
    k = min(k, len(values))
    path = [inertia(values, lloyd(values, k, start, steps=steps)) for steps in range(5)]
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(path))


def test_the_starts_are_those_of_the_paper():
    # Two large weights and many small ones: equal steps reach the large ones, quantiles do not.
    values = torch.cat([torch.linspace(-0.1, 0.1, 98), torch.tensor([-1.0, 1.0])])
    assert linear_start(values, 5).tolist() == [-1, -0.5, 0, 0.5, 1]
    assert density_start(values, 5).abs().max() < 0.1
    assert set(random_start(values, 5).tolist()) <= set(values.double().tolist())
    assert not torch.equal(random_start(values, 5, seed=0), random_start(values, 5, seed=1))


@pytest.mark.parametrize("find", [optimal, lloyd, *STARTS])
@pytest.mark.parametrize(
    ("values", "k", "message"),
    [
        ([1.0, torch.nan], 2, "NaN or infinity in the values"),
        ([1, 2], 2, r"expected a tensor of floats .* got torch\.int64"),
        ([], 2, r"the shape of the values is \(0,\): give 1 or more axes"),
        ([[1.0, 2.0]], 1, r"the shape of the values is \(1, 2\): give values\.flatten"),
        ([1.0, 2.0], 0, "k is 0: give a whole number"),
        ([1.0, 2.0], 1.5, r"k is 1\.5: give a whole number"),
    ],
)
def test_what_has_no_centroids_is_refused(find, values, k, message):
    with pytest.raises((TypeError, ValueError), match=message):
        find(torch.tensor(values), k)


@pytest.mark.parametrize(("offset", "spread"), [(1e6, 1e-3), (1e8, 1e-2), (1.0, 1e-7)])
def test_optimal_is_exact_far_from_zero(offset, spread):
    values = gaussian(60).double()
    expected = inertia(values, optimal(values, 4))
    far = offset + spread * values
    assert inertia(far, optimal(far, 4)) / spread**2 == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_nearest_of_large_numbers_in_any_layout(dtype):
    most = torch.finfo(dtype).max
    centroids = torch.tensor([0.3 * most, 0.9 * most], dtype=dtype)
    values = torch.tensor([[0.3, 0.95], [0.99, 0.5], [0.7, 0.1]], dtype=dtype).mul(most).T
    assert nearest(values, centroids).tolist() == [[0, 1, 1], [1, 0, 0]]
    assert nearest(values, centroids.double()).tolist() == [[0, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize("lookup", [nearest, inertia])
@pytest.mark.parametrize("values", [[1.0], torch.tensor([1])])
def test_floats_are_asked_for(lookup, values):
    with pytest.raises(TypeError, match="expected a tensor of floats for the values"):
        lookup(values, torch.tensor([1.0]))


def test_lloyd_has_at_most_a_centroid_for_each_value():
    with pytest.raises(ValueError, match="k is 5: give a whole number from 1 to 2"):
        lloyd(torch.tensor([1.0, 2.0]), 5)
    with pytest.raises(ValueError, match="steps is -3: give a whole number of at least 0"):
        lloyd(torch.tensor([1.0, 2.0]), 2, steps=-3)


@pytest.mark.parametrize("lookup", [nearest, inertia])
@pytest.mark.parametrize(
    ("value", "centroids", "message"),
    [
        (torch.nan, [0.0, 1.0], "NaN or infinity in the values"),
        (1.0, [0.0, torch.inf], "NaN or infinity in the centroids"),
        (1.0, [], r"the shape of the centroids is \(0,\)"),
        (0.9, [1.0, 0.0], "the centroids are not sorted"),
    ],
)
def test_centroids_to_choose_from_are_sorted_numbers(lookup, value, centroids, message):
    with pytest.raises(ValueError, match=message):
        lookup(torch.tensor([value]), torch.tensor(centroids))


def test_a_centroid_without_values_stays_where_it_was():
    values = torch.tensor([0.0, 0.1, 0.9, 1.0])
    assert lloyd(values, 3).tolist() == pytest.approx([0.05, 0.5, 0.95])


# --- codebooks -----------------------------------------------------------------------------------


@given(values=numbers, k=st.integers(1, 5), dropped=st.lists(st.booleans(), min_size=12))
@settings(max_examples=60, deadline=None)
def test_zeros_stay_zero_and_the_rest_goes_to_its_nearest_centroid(values, k, dropped):
    weight = torch.tensor(values).masked_fill(torch.tensor(dropped[: len(values)]), 0)
    book = codebook(weight, k)
    book.check(weight.shape)
    again = book.decoded()
    assert (again[weight == 0] == 0).all()
    assert (book.labels == 0).equal(weight == 0)
    assert len(book.values) <= 1 + k
    if (weight != 0).any():
        lost = (again.double() - weight.double()).square().sum().item()
        expected = inertia(weight[weight != 0], book.values[1:])
        assert lost == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_as_many_numbers_as_there_are_lose_nothing():
    weight = torch.tensor([[0.0, 1.0, -2.0], [1.0, 0.5, 0.0]])
    book = codebook(weight, clusters=4)
    assert book.values.tolist() == [0, -2, 0.5, 1]
    assert torch.equal(book.decoded(), weight)
    assert codebook(torch.zeros(2, 3), clusters=4).values.tolist() == [0]
    assert codebook(torch.empty(0), clusters=4).decoded().shape == (0,)


def test_how_to_cluster_and_how_many_is_the_callers():
    model = small_cnn((4, 6))
    clusters = {"conv1.weight": 16, "conv2.weight": 3}
    plan = codebooks(model, clusters, cluster=partial(lloyd, start=density_start))
    assert {name: len(book.values) - 1 for name, book in plan.items()} == clusters
    expected = lloyd(model.conv2.weight.detach().flatten(), 3, density_start)
    torch.testing.assert_close(plan["conv2.weight"].values[1:], expected.float())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_dtype_stays(dtype):
    model = mlp(8, 6, 3).to(dtype)
    assert {w.dtype for w in prunable(share(model, codebooks(model, 3))).values()} == {dtype}


def test_sharing_keeps_the_sparsity_and_leaves_so_many_numbers():
    torch.manual_seed(0)
    model = apply_masks(dense := mlp(30, 20, 5), keep_top(magnitude(dense), 0.7))
    shared = share(model, codebooks(model, clusters=6))
    for name, weight in prunable(shared).items():
        assert len(weight[weight != 0].unique()) == 6
        assert torch.equal(weight == 0, prunable(model)[name] == 0)
    assert torch.equal(shared.fc1.bias, model.fc1.bias)
    assert shared.architecture == model.architecture


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": torch.tensor([1.0, 2.0])}, "the first is 0"),
        ({"values": torch.zeros(0)}, "the first is 0"),
        ({"values": torch.tensor([0.0, torch.nan])}, "hold NaN or infinity"),
        ({"labels": torch.full((3, 8), 2)}, "labels run from 2 to 2, but there are 2"),
        ({"labels": torch.full((3, 8), -1)}, "labels run from -1"),
        ({"labels": torch.ones(8, 3, dtype=torch.int64)}, r"shape \(8, 3\).*shape \(3, 8\)"),
        ({"labels": torch.ones(3, 8)}, r"labels are torch\.float32"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(change, message):
    book = Codebook(torch.tensor([0.0, 2.0]), torch.ones(3, 8, dtype=torch.int64))
    with pytest.raises(ValueError, match=f"the codebook of 'fc1.weight' does not fit: .*{message}"):
        share(mlp(8, 3), {"fc1.weight": book._replace(**change)})


def test_what_cannot_be_shared_is_refused():
    model = mlp(8, 3)
    with pytest.raises(ValueError, match=r"no weight 'fc9': its weights are 'fc1\.weight'"):
        codebooks(model, {"fc9": 3})
    with pytest.raises(ValueError, match=r"no weight 'fc1': its weights are 'fc1\.weight'"):
        share(model, {"fc1": codebook(model.fc1.weight, 3)})
    with pytest.raises(ValueError, match=r"no codebook for 'fc1\.weight': clusters is 0"):
        codebooks(model, 0)
    with pytest.raises(TypeError, match="the plan is of type Codebook: give a dict"):
        share(model, codebook(model.fc1.weight, 3))
    with pytest.raises(TypeError, match=r"the codebook of 'fc1\.weight' is of type Parameter"):
        share(model, {"fc1.weight": model.fc1.weight})
    model.fc1.weight.data[0, 0] = torch.inf
    with pytest.raises(ValueError, match=r"no codebook for 'fc1\.weight': NaN or infinity in"):
        codebooks(model, 3)
    computed = nn.utils.parametrizations.weight_norm(nn.Linear(8, 3))
    with pytest.raises(ValueError, match="'weight' is computed"):
        share(computed, {"weight": codebook(computed.weight, 3)})


# --- fine-tuning ---------------------------------------------------------------------------------


def separable(rows=200):
    x = torch.randn(rows, 12, generator=torch.Generator().manual_seed(0))
    return Split(x, x[:, :4].argmax(1))


def pruned(clusters):
    """Return a trained and pruned network, its codebooks, and its data."""
    data = separable()
    torch.manual_seed(0)
    model = fit(mlp(12, 16, 4), data, epochs=6).model
    model = apply_masks(model, keep_top(magnitude(model), 0.5))
    return model, codebooks(model, clusters), data


def test_the_gradient_of_a_centroid_is_the_sum_over_its_weights():
    model, plan, data = pruned(clusters=3)
    one_step = partial(fit, train=data, epochs=1, batch_size=len(data.y))
    rate = 0.01
    tuned, after = finetune_codebooks(
        model, plan, lambda tied: one_step(tied, optimizer=partial(sgd, lr=rate)).model
    )
    shared = share(model, plan)
    nn.functional.cross_entropy(shared(data.x), data.y).backward()
    for name, weight in prunable(shared).items():
        book = plan[name]
        for j in range(1, len(book.values)):
            step = rate * weight.grad[book.labels == j].sum()
            moved = (book.values - after[name].values)[j]
            torch.testing.assert_close(moved, step, rtol=1e-3, atol=1e-6)
    step = rate * shared.fc1.bias.grad
    torch.testing.assert_close(shared.fc1.bias - tuned.fc1.bias, step, rtol=1e-3, atol=1e-6)


def test_fine_tuning_lowers_the_loss_and_keeps_zeros_and_labels():
    model, plan, data = pruned(clusters=2)
    before, snapshot = copy.deepcopy(plan), copy.deepcopy(model.state_dict())
    # Momentum and weight decay must not revive what was pruned either.
    train = partial(fit, train=data, epochs=6, optimizer=partial(sgd, weight_decay=1e-3))
    tuned, after = finetune_codebooks(model, plan, lambda tied: train(tied).model)
    loss = partial(evaluate, split=data, metric=nn.functional.cross_entropy)
    assert loss(tuned) < loss(share(model, plan))
    assert list(tuned.state_dict()) == list(snapshot)
    assert all(torch.equal(model.state_dict()[name], snapshot[name]) for name in snapshot)
    for name, weight in prunable(tuned).items():
        assert torch.equal(weight, after[name].decoded())
        assert torch.equal(weight == 0, prunable(model)[name] == 0)
        assert torch.equal(after[name].labels, before[name].labels)
        assert torch.equal(plan[name].values, before[name].values)
        assert not torch.equal(after[name].values, before[name].values)
    assert all(
        torch.equal(p, share(tuned, after).state_dict()[n]) for n, p in tuned.state_dict().items()
    )


def test_a_finetune_that_gives_back_another_network_is_refused():
    model, plan, _ = pruned(clusters=2)
    with pytest.raises(ValueError, match=r"without the codebook of 'fc1\.weight'"):
        finetune_codebooks(model, plan, lambda tied: model)


@pytest.mark.parametrize("named", [["0.weight"], ["0.weight", "1.weight"]])
def test_a_weight_of_two_layers_has_no_codebook_to_train(named):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    plan = codebooks(model, dict.fromkeys(named, 3))
    assert share(model, plan)[1].weight.unique().numel() == 3
    with pytest.raises(ValueError, match=r"'0.weight' is the weight of 2 layers"):
        finetune_codebooks(model, plan, copy.deepcopy)


# --- product quantization ------------------------------------------------------------------------


def test_the_vectors_are_those_of_k_means_in_each_block():
    weight = torch.randn(12, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    book = product_codebook(weight, clusters=4, width=6)
    assert book.values.shape == (2, 4, 6)
    assert book.labels.shape == (12, 2)
    again, rows = book.decoded().flatten(1), weight.flatten(1)
    lost = 0
    for columns in (slice(0, 6), slice(6, 12)):
        block = rows[:, columns].double().numpy()
        lost += KMeans(4, n_init=1, random_state=0).fit(block).inertia_
    assert (again - rows).square().sum().item() == pytest.approx(lost, rel=1e-4)


def test_vectors_of_width_1_with_a_number_for_each_row_lose_nothing():
    weight = torch.randn(5, 3)
    torch.testing.assert_close(product_codebook(weight, clusters=5, width=1).decoded(), weight)
    # Only two different rows: two of the five vectors serve.
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).repeat(3, 1)
    torch.testing.assert_close(product_codebook(weight, clusters=5, width=2).decoded(), weight)


def test_product_codebooks_are_shared_and_tuned_like_the_others():
    model, _, data = pruned(clusters=2)
    plan = {"fc1.weight": product_codebook(model.fc1.weight, clusters=4, width=3)}
    tuned, after = finetune_codebooks(model, plan, lambda tied: fit(tied, data, epochs=6).model)
    assert evaluate(tuned, data) >= evaluate(share(model, plan), data)
    assert torch.equal(tuned.fc1.weight, after["fc1.weight"].decoded())
    assert len(tuned.fc1.weight[:, :3].unique(dim=0)) <= 4


@pytest.mark.parametrize(
    ("clusters", "width", "message"),
    [
        (0, 2, "clusters is 0: give a whole number from 1 to 5"),
        (6, 2, "clusters is 6: give a whole number from 1 to 5"),
        (2, 4, "width is 4: give a whole number that divides the 6 columns"),
        (2, 0, "width is 0"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(clusters, width, message):
    with pytest.raises(ValueError, match=message):
        product_codebook(torch.randn(5, 6), clusters, width)
    for weight, wrong in (
        (torch.full((5, 6), torch.nan), "NaN or infinity"),
        (torch.ones(6), r"the shape of the weight is \(6,\): give 2 or more axes"),
    ):
        with pytest.raises(ValueError, match=wrong):
            product_codebook(weight, 2, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (5, 7)}, r"for a tensor of shape \(5, 7\)"),
        ({"values": torch.ones(3, 2)}, "for a tensor"),
        ({"values": torch.ones(2, 2, 2)}, "2 blocks of 2 are not the columns"),
        ({"labels": torch.full((5, 3), 2)}, "labels run from 2 to 2, but there are 2"),
        ({"labels": torch.zeros(3, 5, dtype=torch.int64)}, "are not the columns"),
    ],
)
def test_a_product_codebook_that_does_not_fit_is_refused(change, message):
    model = mlp(6, 5)
    book = product_codebook(model.fc1.weight, clusters=2, width=2)
    with pytest.raises(ValueError, match=f"the codebook of 'fc1.weight' does not fit: .*{message}"):
        share(model, {"fc1.weight": book._replace(**change)})
