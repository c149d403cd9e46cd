from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from pruneedu.quantization.affine import round_to_grid
from pruneedu.quantization.calibration import (
    _divergence,
    kl,
    minmax,
    moving_average,
    mse,
    percentile,
)
from pruneedu.quantization.schemes import asymmetric, symmetric

CALIBRATORS = {
    "minmax": minmax,
    "moving_average": partial(moving_average, batches=3),
    "percentile": percentile,
    "mse": partial(mse, scheme=symmetric, bits=3),
    "kl": partial(kl, bits=3),
}
ON_CALIBRATORS = pytest.mark.parametrize("calibrate", CALIBRATORS.values(), ids=CALIBRATORS)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@ON_CALIBRATORS
@pytest.mark.parametrize("shape", [(40,), (3, 40), (3, 2, 40)])
def test_each_row_has_its_own_range_inside_its_values(calibrate, shape):
    values = normal(*shape)
    low, high = calibrate(values)
    assert low.shape == high.shape == shape[:-1]
    assert (low <= high).all()
    assert (high <= values.abs().amax(-1)).all()
    rows = values.reshape(-1, shape[-1])
    alone = [calibrate(row) for row in rows]
    torch.testing.assert_close(low.flatten(), torch.stack([row.low for row in alone]))
    torch.testing.assert_close(high.flatten(), torch.stack([row.high for row in alone]))


@ON_CALIBRATORS
def test_no_values_are_refused_and_zeros_are_not(calibrate):
    with pytest.raises(ValueError, match=r"the values is \(2, 0\): give 1 or more axes"):
        calibrate(torch.zeros(2, 0))
    low, high = calibrate(torch.zeros(2, 5))
    assert not low.any()
    assert not high.any()


@ON_CALIBRATORS
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_finite_reaches_no_grid(calibrate, bad):
    values = normal(41)
    values[[3, 20, 35]] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        symmetric(*calibrate(values), 4)


@ON_CALIBRATORS
def test_scaled_values_have_a_scaled_range(calibrate):
    values = normal(2, 100)
    for end, scaled in zip(calibrate(values), calibrate(8 * values), strict=True):
        torch.testing.assert_close(scaled, 8 * end)


@pytest.mark.parametrize(
    ("size", "dtype"),
    [(2.0**-100, torch.float32), (2.0**110, torch.float32), (2.0**9, torch.float16)],
)
@ON_CALIBRATORS
def test_large_and_small_values_have_the_same_range_in_proportion(calibrate, size, dtype):
    values = torch.cat([normal(500), torch.tensor([20.0])]).to(dtype)
    for end, scaled in zip(calibrate(values), calibrate(size * values), strict=True):
        assert scaled.isfinite()
        torch.testing.assert_close(scaled / size, end)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 60), st.floats(0, 0.999))
def test_percentile_leaves_out_as_many_as_asked(seed, n, outside):
    values = normal(n, seed=seed)
    low, high = percentile(values, outside)
    k = int(outside * n / 2)
    assert (values < low).sum() == (values > high).sum() == k


@pytest.mark.parametrize("outside", [-0.1, 1.0, torch.nan])
def test_percentile_refuses_to_leave_out_all(outside):
    with pytest.raises(ValueError, match="from 0 to below 1"):
        percentile(torch.ones(3), outside)


def test_moving_average_by_hand():
    low, high = moving_average(torch.tensor([-4.0, 4.0, 0.0, 8.0, -2.0, 2.0]), 3, momentum=0.5)
    # The lows are -4, 0, -2 and the highs 4, 8, 2.
    assert (low, high) == (-2.0, 4.0)


@pytest.mark.parametrize("scheme", [symmetric, asymmetric])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_no_share_of_the_range_has_less_error_than_mse_finds(scheme, bits):
    values = normal(3, 200)
    values[0] = values[0].abs()

    def error(low, high):
        return (values - round_to_grid(values, scheme(low, high, bits))).square().sum(-1)

    found = error(*mse(values, scheme, bits))
    for share in np.linspace(0.2, 1, 33).tolist():
        assert (found <= error(*(share * end for end in minmax(values))) * 1.02).all()


def test_few_bits_clip_more_than_many():
    highs = [mse(normal(4000), symmetric, bits).high.item() for bits in (2, 4, 8)]
    assert highs == sorted(highs)
    assert highs[0] < 0.7 * highs[-1]


@pytest.mark.parametrize("calibrate", [partial(mse, scheme=symmetric, bits=4), partial(kl, bits=4)])
def test_an_outlier_is_clipped(calibrate):
    values = torch.cat([normal(5000), torch.tensor([20.0])])
    assert calibrate(values).high < 10
    assert minmax(values).high == 20


def test_kl_keeps_values_that_lie_evenly():
    values = torch.linspace(-1, 1, 10_001)
    assert kl(values, bits=4).high == 1


@pytest.mark.parametrize("merged", [1, 2, 3, 4])
def test_the_divergence_is_that_of_scipy(merged):
    counts = torch.tensor([9, 5, 4, 0, 3, 2, 2, 2, 1, 0, 1, 1, 0, 1, 0, 1]).double()
    kept = counts[: 4 * merged].numpy()
    q = np.zeros(len(kept))
    for start in range(0, len(kept), merged):
        group = kept[start : start + merged]
        q[start : start + merged] = (group > 0) * group.sum() / max((group > 0).sum(), 1)
    p = kept.copy()
    p[-1] += counts.sum().item() - kept.sum()
    q = np.maximum(q, 1e-6 * kept.sum())
    assert _divergence(counts, 4, merged) == pytest.approx(entropy(p, q))
