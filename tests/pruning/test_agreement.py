"""Agreement of criteria, against numbers by hand and loops over all pairs."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pruneedu.models import mlp
from pruneedu.pruning import magnitude, overlap, random, rank_correlation

few_values = st.integers(-3, 3).map(float)
pairs = st.lists(st.tuples(few_values, few_values), min_size=2, max_size=12).filter(
    lambda rows: all(len(set(column)) > 1 for column in zip(*rows, strict=True))
)


def scored(values, first=1):
    """Return scores whose entries lie in two layers."""
    return {"fc1": torch.tensor(values[:first]), "fc2": torch.tensor(values[first:])}


def sign(number):
    return (number > 0) - (number < 0)


def mean_rank(values, value):
    below = sum(other < value for other in values)
    return below + (sum(other == value for other in values) + 1) / 2


@settings(deadline=None)  # the first example imports SciPy
@given(pairs)
def test_kendall_counts_pairs(rows):
    a, b = map(list, zip(*rows, strict=True))
    signs = [(sign(p[0] - q[0]), sign(p[1] - q[1])) for p, q in combinations(rows, 2)]
    agreeing = sum(x * y for x, y in signs)
    untied = [sum(abs(pair[i]) for pair in signs) for i in (0, 1)]
    expected = agreeing / (untied[0] * untied[1]) ** 0.5
    assert rank_correlation(scored(a), scored(b)).kendall == pytest.approx(expected)


@settings(deadline=None)
@given(pairs)
def test_spearman_correlates_ranks(rows):
    a, b = map(list, zip(*rows, strict=True))
    ranks = torch.tensor([[mean_rank(v, one) for one in v] for v in (a, b)], dtype=torch.float64)
    expected = torch.corrcoef(ranks)[0, 1].item()
    assert rank_correlation(scored(a), scored(b)).spearman == pytest.approx(expected, abs=1e-12)


@given(pairs, st.integers(1, 12))
def test_overlap_counts_what_both_choose(rows, k):
    a, b = map(list, zip(*rows, strict=True))
    k = min(k, len(rows))
    # Python's sort is stable: of equals the earlier stays first.
    top_a, top_b = (set(sorted(range(len(v)), key=lambda i: -v[i])[:k]) for v in (a, b))
    assert overlap(scored(a), scored(b), k) == pytest.approx(len(top_a & top_b) / k)


@settings(deadline=None)
@given(pairs)
def test_agreement_is_symmetric_and_sees_only_the_order(rows):
    a, b = (scored(list(values)) for values in zip(*rows, strict=True))
    forth = rank_correlation(a, b)
    assert rank_correlation(b, a) == pytest.approx(forth)
    stretched = {name: score.exp() * 3 for name, score in a.items()}
    assert rank_correlation(stretched, b) == pytest.approx(forth)
    assert rank_correlation(a, stretched) == pytest.approx((1, 1))
    assert rank_correlation(a, {n: -score for n, score in a.items()}) == pytest.approx((-1, -1))


def test_names_in_another_order_are_the_same_entries():
    a, b = scored([3.0, 1.0, 2.0, 1.0]), scored([1.0, 3.0, 1.0, 2.0])
    turned = dict(reversed(b.items()))
    assert rank_correlation(a, turned) == rank_correlation(a, b)
    assert [overlap(a, turned, k) for k in (1, 2, 3, 4)] == [overlap(a, b, k) for k in (1, 2, 3, 4)]


def test_every_k_of_a_network_is_chosen_exactly():
    model = mlp(7, 5, 3)
    same = magnitude(model)
    assert [overlap(same, same, k) for k in range(1, 51)] == [1] * 50
    other = random(model)
    assert overlap(same, other, 50) == 1
    assert (overlap(same, other, 13) * 13) % 1 == pytest.approx(0)


def test_constant_scores_are_refused():
    a = scored([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"the second scores all equal 0\.5, so they rank nothing"):
        rank_correlation(a, scored([0.5, 0.5, 0.5]))
    with pytest.raises(ValueError, match="the first scores all equal 0"):
        rank_correlation(scored([0.0, -0.0, 0.0]), a)


@pytest.mark.parametrize("compare", [rank_correlation, lambda a, b: overlap(a, b, 1)])
def test_scores_of_other_layers_or_shapes_are_refused(compare):
    a = scored([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"'fc2' has shape \(2,\) in the first .* no entry in the"):
        compare(a, {"fc1": a["fc1"]})
    with pytest.raises(ValueError, match=r"'fc3' has no entry in the first .* shape \(1,\) in the"):
        compare(a, a | {"fc3": torch.ones(1)})
    with pytest.raises(ValueError, match=r"'fc1' has shape \(1,\) in the first .* shape \(2,\) in"):
        compare(a, scored([1.0, 2.0, 3.0, 4.0], first=2))
    with pytest.raises(ValueError, match="'fc2' hold NaN"):
        compare(a, scored([1.0, torch.nan, 3.0]))


@pytest.mark.parametrize("k", [0, 4, -1, 1.0])
def test_a_k_that_cannot_be_chosen_is_refused(k):
    a = scored([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=f"k is {k}, but the scores have 3 entries: give 1 to 3"):
        overlap(a, a, k)
