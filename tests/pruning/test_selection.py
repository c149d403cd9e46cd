import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import prune

from pruneedu.models import small_cnn
from pruneedu.pruning import keep_top, magnitude
from pruneedu.pruning.selection import _kth_smallest
from pruneedu.tensors import per_layer, per_unit, prunable_layers, sparsity

FRACTIONS = st.floats(0, 1)
# Other work on the machine must not fail a property.
PATIENT = settings(deadline=None)


@st.composite
def layers(draw, dtype=None):
    """Scores of one to three layers of small integers, so that ties abound, and earlier masks."""
    dtype = draw(st.sampled_from([torch.float32, torch.float64])) if dtype is None else dtype
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    scores, masks = {}, {}
    for i in range(draw(st.integers(1, 3))):
        shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 5)))
        high = draw(st.integers(1, 6))
        scores[f"fc{i}.weight"] = torch.randint(-2, high, shape, generator=generator).to(dtype)
        masks[f"fc{i}.weight"] = torch.rand(shape, generator=generator) > 0.4
    return scores, draw(st.sampled_from([None, masks]))


def sorted_oracle(scores, fraction, masks=None):
    """Sort slowly: what was dropped comes first, then low scores, then, among equals, the later."""
    entries = [
        (
            -math.inf if masks is not None and not masks[name].flatten()[i] else value,
            -order,
            name,
            i,
        )
        for order, (name, i, value) in enumerate(
            (name, i, value)
            for name, score in scores.items()
            for i, value in enumerate(score.flatten().tolist())
        )
    ]
    keep = {name: torch.ones(score.numel(), dtype=torch.bool) for name, score in scores.items()}
    for _, _, name, i in sorted(entries)[: round(fraction * len(entries))]:
        keep[name][i] = False
    return {name: keep[name].view(score.shape) for name, score in scores.items()}


def same(found, expected):
    return list(found) == list(expected) and all(
        torch.equal(found[name], expected[name]) for name in expected
    )


@given(layers(), FRACTIONS)
@PATIENT
def test_global_scope_agrees_with_sorting(layers, fraction):
    scores, masks = layers
    assert same(keep_top(scores, fraction, masks=masks), sorted_oracle(scores, fraction, masks))


@given(layers(), FRACTIONS)
@PATIENT
def test_layer_scope_agrees_with_sorting_each_layer(layers, fraction):
    scores, masks = layers
    expected = {}
    for name in scores:
        earlier = None if masks is None else {name: masks[name]}
        expected |= sorted_oracle({name: scores[name]}, fraction, earlier)
    assert same(keep_top(scores, fraction, "layer", masks), expected)
    assert same(keep_top(scores, dict.fromkeys(scores, fraction), masks=masks), expected)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40), FRACTIONS)
@PATIENT
def test_any_scores_drop_exactly_k_and_no_kept_one_is_below_a_dropped_one(values, fraction):
    scores = torch.tensor(values)
    keep = keep_top({"fc1": scores}, fraction)["fc1"]
    assert int((~keep).sum()) == round(fraction * len(values))
    if keep.any() and not keep.all():
        assert scores[keep].min() >= scores[~keep].max()


@given(layers(), FRACTIONS, FRACTIONS)
@PATIENT
def test_a_second_cut_goes_on_from_the_first(layers, one, other):
    scores, _ = layers
    mild, hard = sorted([one, other])
    first = keep_top(scores, mild)
    straight = keep_top(scores, hard)
    assert same(keep_top(scores, hard, masks=first), straight)
    assert all((straight[name] <= first[name]).all() for name in scores)


@pytest.mark.parametrize("level", ["weight", "unit", "layer"])
@given(fraction=FRACTIONS, seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_all_three_levels_agree_with_sorting(level, fraction, seed):
    torch.manual_seed(seed)
    model = small_cnn((3, 4), classes=2)
    weights = {name: score.mul(8).floor() for name, score in magnitude(model).items()}
    scores = {
        "weight": weights,
        "unit": per_unit(weights, model),
        "layer": per_layer(weights, model),
    }[level]
    assert same(keep_top(scores, fraction), sorted_oracle(scores, fraction))


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_same_weights_stay_as_with_pytorch(fraction):
    torch.manual_seed(0)
    model = small_cnn((5, 7))
    masks = keep_top(magnitude(model), fraction)
    torches = copy.deepcopy(model)
    owners = prunable_layers(torches)
    pairs = [(layer, "weight") for layer in owners.values()]
    prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=fraction)
    for name, layer in owners.items():
        assert torch.equal(masks[f"{name}.weight"], layer.weight_mask.bool())


def test_ties_by_hand():
    scores = {"fc1": torch.tensor([1.0, 1.0, 0.0]), "fc2": torch.tensor([1.0, 2.0])}
    masks = keep_top(scores, 0.4)
    assert masks["fc1"].tolist() == [True, True, False]
    assert masks["fc2"].tolist() == [False, True]


def test_ties_that_a_threshold_would_drop_together():
    # Dropping all that is below the k-th value would drop 0 here, and up to it all 10.
    keep = keep_top({"fc1": torch.ones(10)}, 0.2)["fc1"]
    assert keep.tolist() == [True] * 8 + [False] * 2


@pytest.mark.parametrize(
    ("n", "fraction", "k"), [(5, 0.5, 2), (7, 0.5, 4), (10, 0.25, 2), (10, 0.29, 3), (3, 0.1, 0)]
)
def test_a_half_rounds_to_the_even_number(n, fraction, k):
    assert int((~keep_top({"fc1": torch.arange(float(n))}, fraction)["fc1"]).sum()) == k


def test_each_layer_can_have_its_own_sparsity():
    scores = {"fc1": torch.arange(4.0), "fc2": torch.arange(4.0), "fc3": torch.arange(4.0)}
    masks = keep_top(scores, {"fc3": 1, "fc1": 0.0, "fc2": 0.5})
    assert list(masks) == ["fc1", "fc2", "fc3"]
    assert [int(mask.sum()) for mask in masks.values()] == [4, 2, 0]


def test_earlier_drops_go_first_whatever_their_score():
    scores = {"fc1": torch.tensor([9.0, 1.0, 2.0, 8.0])}
    earlier = {"fc1": torch.tensor([False, True, True, True])}
    assert keep_top(scores, 0.5, masks=earlier)["fc1"].tolist() == [False, False, True, True]


def test_fewer_than_were_dropped_still_means_exactly_k():
    earlier = {"fc1": torch.tensor([True, False, False, False])}
    masks = keep_top({"fc1": torch.tensor([0.0, 3.0, 2.0, 1.0])}, 0.25, masks=earlier)
    assert masks["fc1"].tolist() == [True, True, True, False]


def test_a_double_that_single_precision_would_round_is_told_apart():
    single, double = torch.tensor([0.1]), torch.tensor([0.1], dtype=torch.float64)
    assert single.double() > double
    masks = keep_top({"fc1": single, "fc2": double}, 0.5)
    assert (masks["fc1"].item(), masks["fc2"].item()) == (True, False)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float16, torch.bfloat16])
def test_other_number_types_rank_alike(dtype):
    values = torch.tensor([3, 0, 2, 1], dtype=dtype)
    assert keep_top({"fc1": values}, 0.5)["fc1"].tolist() == [True, False, True, False]


def test_order_is_row_major_whatever_the_memory_layout():
    scores = torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    plain = keep_top({"conv1.weight": torch.zeros(2, 3, 4, 4)}, 0.3)
    assert same(keep_top({"conv1.weight": scores}, 0.3), plain)


def test_inputs_stay_and_results_stand_alone():
    scores = {"fc1.weight": torch.rand(3, 4, requires_grad=True), "fc2.weight": torch.rand(2, 3)}
    masks = keep_top(scores, 0.2)
    before = {name: score.detach().clone() for name, score in scores.items()}
    kept = copy.deepcopy(masks)
    later = keep_top(scores, 0.6, masks=masks)
    assert same({name: score.detach() for name, score in scores.items()}, before)
    assert same(masks, kept)
    for mask in later.values():
        assert mask.untyped_storage().nbytes() == mask.numel()
        assert not mask.requires_grad


def test_a_single_layer_is_ranked_on_a_copy():
    score = torch.tensor([3.0, 1.0, 2.0])
    keep_top({"fc1": score}, 0.5)
    assert score.tolist() == [3.0, 1.0, 2.0]


def test_sparsity_of_masks_is_the_sparsity_asked_for():
    scores = {"fc1.weight": torch.rand(10, 10), "fc2.weight": torch.rand(30, 10)}
    assert sparsity(keep_top(scores, 0.37)) == 0.37


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.data())
@PATIENT
def test_kth_smallest_agrees_with_sorted(values, data):
    k = data.draw(st.integers(1, len(values)))
    assert _kth_smallest(torch.tensor(values).float(), k).item() == sorted(values)[k - 1]


TWO = {"fc1": torch.arange(3.0), "fc2": torch.arange(2.0)}
YES = torch.tensor([True, True])


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ({"sparsity": 80}, ValueError, "sparsity is 80, but it is a fraction"),
        ({"sparsity": -0.1}, ValueError, r"sparsity is -0\.1"),
        ({"sparsity": math.nan}, ValueError, "sparsity is nan"),
        ({"sparsity": "0.5"}, TypeError, "sparsity is '0.5'"),
        ({"sparsity": 0.5, "scope": "local"}, ValueError, "'local': choose 'global' or 'layer'"),
        ({"sparsity": {"fc1": 0.5}}, ValueError, "'fc2' is missing in the sparsity.*'fc1', 'fc2'"),
        ({"sparsity": {}}, ValueError, "'fc1' is missing in the sparsity"),
        (
            {"sparsity": {"fc1": 0.5, "fc2": 0.5, "fc3": 0.5}},
            ValueError,
            "'fc3' was not scored",
        ),
        ({"sparsity": {"fc1": 0.5, "fc2": 5}}, ValueError, "sparsity of 'fc2' is 5"),
        ({"sparsity": 0.5, "masks": {"fc2": YES}}, ValueError, "'fc1' is missing in the masks"),
        ({"sparsity": 0.5, "masks": {"fc1": YES, "fc2": YES}}, ValueError, r"need.*\(3,\)"),
        (
            {"sparsity": 0.5, "masks": {"fc1": torch.ones(3), "fc2": YES}},
            ValueError,
            r"'fc1' is torch\.float32",
        ),
    ],
)
def test_keep_top_says_what_is_wrong(request_, error, message):
    with pytest.raises(error, match=message):
        keep_top(TWO, **request_)


@pytest.mark.parametrize("request_", [{"scope": "layer"}, {"sparsity": {"fc1": 0.5, "fc2": 0.5}}])
def test_layer_level_scores_cannot_be_ranked_alone(request_):
    scores = {"fc1": torch.tensor(1.0), "fc2": torch.tensor(2.0)}
    with pytest.raises(ValueError, match="could only stay or go whole"):
        keep_top(scores, **{"sparsity": 0.5} | request_)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@given(layers(), FRACTIONS)
@settings(max_examples=30, deadline=None)
def test_the_gpu_keeps_the_same(layers, fraction):
    scores, masks = layers
    there = {name: score.cuda() for name, score in scores.items()}
    earlier = masks and {name: mask.cuda() for name, mask in masks.items()}
    found = keep_top(there, fraction, masks=earlier)
    assert all(mask.is_cuda for mask in found.values())
    expected = keep_top(scores, fraction, masks=masks)
    assert same({name: mask.cpu() for name, mask in found.items()}, expected)
