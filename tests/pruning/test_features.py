"""Scores of inputs, against numbers by hand, slower loops, and what theory says of each method."""

import math

import pytest
import torch
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from pruneedu.data import Split, load
from pruneedu.pruning import mutual_information_of_inputs, svm_weight, tree_importance

SELECTORS = {
    "mutual information": mutual_information_of_inputs,
    "tree": tree_importance,
    "svm": svm_weight,
}
ON_SELECTORS = pytest.mark.parametrize("select", SELECTORS.values(), ids=SELECTORS)


def two_clouds(rows=400, noise=3):
    """Two classes that the first input tells apart, well but not wholly, and that no other does."""
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(rows) % 2
    x = torch.randn(rows, 1 + noise, generator=rng)
    x[:, 0] += 2 * y
    return Split(x, y)


@ON_SELECTORS
def test_the_input_that_tells_the_classes_apart_scores_highest(select):
    (name, score), *rest = select(two_clouds()).items()
    assert (name, rest) == ("input", [])
    assert score.shape == (4,)
    assert score.dtype == torch.float32
    assert score[0] > 2 * score[1:].max()


@ON_SELECTORS
def test_an_example_is_flattened(select):
    data = two_clouds()
    image = Split(data.x.view(-1, 1, 2, 2), data.y)
    assert torch.equal(select(image)["input"], select(data)["input"])


@ON_SELECTORS
def test_scores_repeat_and_leave_the_data_alone(select):
    data = two_clouds()
    x, state = data.x.clone(), torch.get_rng_state()
    assert torch.equal(select(data)["input"], select(data)["input"])
    assert torch.equal(data.x, x)
    assert torch.equal(torch.get_rng_state(), state)


@ON_SELECTORS
def test_constant_inputs_score_nothing(select):
    data = two_clouds()
    data.x[:, 2] = 0
    # The estimate of mutual information has a standard error of about 0.02 here.
    assert select(data)["input"][2].item() == pytest.approx(0, abs=0.03)


@ON_SELECTORS
def test_permuted_inputs_permute_the_scores(select):
    data, order = two_clouds(), torch.tensor([2, 0, 3, 1])
    permuted = select(Split(data.x[:, order], data.y))["input"]
    # The tree draws the order of its splits: only ties are decided by it, and here are few.
    torch.testing.assert_close(permuted, select(data)["input"][order], atol=0.05, rtol=0)


@ON_SELECTORS
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (Split(torch.ones(4, 2), None), "4 examples and 0 labels"),
        (Split(torch.ones(4, 2), torch.tensor([0, 1])), "4 examples and 2 labels"),
        (Split(torch.ones(4, 2), torch.ones(4)), "the labels name 1 of at least 2 classes"),
        (Split(torch.ones(0, 2), torch.ones(0)), "the labels name 0 of at least 2 classes"),
        (Split(torch.tensor([[1.0], [torch.nan]]), torch.tensor([0, 1])), "NaN or infinity"),
    ],
)
def test_data_that_cannot_be_scored_are_refused(select, data, sentence):
    with pytest.raises(ValueError, match=sentence):
        select(data)


def test_mutual_information_of_separate_classes_is_their_entropy():
    y = torch.arange(900) % 3
    x = torch.rand(900, 1, generator=torch.Generator().manual_seed(1)) + 10 * y[:, None]
    found = mutual_information_of_inputs(Split(x, y))["input"].item()
    assert found == pytest.approx(math.log(3), abs=0.01)


def test_mutual_information_of_two_gaussians_is_the_integral():
    x = torch.linspace(-8, 10, 20_001, dtype=torch.float64)
    dx, density = x[1] - x[0], lambda mean: torch.exp(-((x - mean) ** 2) / 2) / math.tau**0.5
    first, second = density(0), density(2)
    both = (first + second) / 2
    integral = sum((p * torch.log(p / both)).sum() * dx / 2 for p in (first, second)).item()
    found = mutual_information_of_inputs(two_clouds(rows=4000))["input"]
    assert found[0].item() == pytest.approx(integral, abs=0.03)
    assert found[1:].max().item() < 0.03


def test_mutual_information_does_not_see_a_copy_or_a_scale():
    data = two_clouds()
    x = torch.cat([data.x, 1000 * data.x[:, :1]], 1)
    score = mutual_information_of_inputs(Split(x, data.y))["input"]
    torch.testing.assert_close(score[4], score[0], atol=0.02, rtol=0)


def gini(y):
    return 1 - sum((len(y[y == c]) / len(y)) ** 2 for c in y.unique()) if len(y) else 0


def test_tree_importance_is_the_fall_of_impurity_at_each_split():
    data = load("digits").train
    x, y = data.x.flatten(1), data.y
    tree = DecisionTreeClassifier(random_state=3).fit(x.numpy(), y.numpy()).tree_
    expected, nodes = torch.zeros(64, dtype=torch.float64), [(0, torch.arange(len(y)))]
    while nodes:
        node, rows = nodes.pop()
        if (feature := tree.feature[node]) < 0:
            continue
        goes_left = x[rows, feature].double() <= tree.threshold[node]
        left, right = rows[goes_left], rows[~goes_left]
        fall = len(rows) * gini(y[rows]) - len(left) * gini(y[left]) - len(right) * gini(y[right])
        expected[feature] += fall
        nodes += [(tree.children_left[node], left), (tree.children_right[node], right)]
    found = tree_importance(data, seed=3)["input"]
    torch.testing.assert_close(found.double(), expected / expected.sum(), atol=1e-6, rtol=0)
    assert torch.equal(found == 0, expected == 0)


def test_tree_importance_asks_for_one_of_two_copies():
    x = torch.arange(6.0)[:, None].expand(6, 2)
    score = tree_importance(Split(x, torch.tensor([0, 0, 0, 1, 1, 1])))["input"]
    assert sorted(score.tolist()) == [0, 1]


def test_svm_weight_is_the_norm_over_the_classes():
    data = load("digits").train
    found = svm_weight(data, strength=0.3)["input"]
    x, y = data.x.flatten(1).numpy(), data.y.numpy()
    squares = torch.zeros(64, dtype=torch.float64)
    for c in range(10):
        machine = LinearSVC(C=0.3, dual=False, max_iter=10_000).fit(x, y == c)
        squares += torch.from_numpy(machine.coef_[0] ** 2)
    torch.testing.assert_close(found.double(), squares.sqrt(), atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize("strength", [0, -1.0, float("nan")])
def test_svm_needs_a_strength_above_zero(strength):
    with pytest.raises(ValueError, match="strength is"):
        svm_weight(two_clouds(), strength)


def test_a_smaller_unit_lowers_the_svm_weight_but_not_the_importance():
    data = two_clouds()
    finer = Split(data.x * torch.tensor([1024, 1, 1, 1]), data.y)  # exact in floats
    before, after = svm_weight(data)["input"], svm_weight(finer)["input"]
    assert after[0].item() == pytest.approx(before[0].item() / 1024, rel=0.1)
    assert after.argmax() != 0
    assert torch.equal(tree_importance(finer)["input"], tree_importance(data)["input"])
