import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pruneedu.quantization.affine import QParams, round_to_grid, to_floats, to_integers
from pruneedu.quantization.calibration import minmax
from pruneedu.quantization.few_levels import binary, ternary
from pruneedu.quantization.ranges import as_rows
from pruneedu.quantization.schemes import asymmetric, symmetric, textbook

SCHEMES = {"textbook": textbook, "asymmetric": asymmetric, "symmetric": symmetric}
ON_SCHEMES = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
PATIENT = settings(deadline=None, max_examples=40)
FINITE = {
    32: st.floats(width=32, allow_nan=False, allow_infinity=False),
    64: st.floats(-1e300, 1e300),
}


@st.composite
def tensors(draw):
    """Any finite tensor of float32 or float64, also around a number far from 0."""
    width = draw(st.sampled_from([32, 64]))
    dtype = np.dtype(f"float{width}")
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=5))
    if draw(st.booleans()):
        return torch.from_numpy(draw(hnp.arrays(dtype, shape, elements=FINITE[width])))
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    centre, spread = draw(st.integers(-30, 30)), draw(st.integers(-9, 3))
    values = 10.0**centre * (draw(st.integers(-1, 1)) + 10.0**spread * generator.normal(size=shape))
    return torch.from_numpy(values.astype(dtype))


def assert_within_half_a_step(w, grid):
    """Every value lies at most half a step from its place, up to rounding in w's own dtype."""
    found = round_to_grid(w, grid)
    assert found.shape == w.shape
    assert found.dtype == w.dtype
    integers = to_integers(w, grid)
    assert integers.min() >= grid.lowest
    assert integers.max() <= grid.highest
    assert torch.equal(to_floats(integers, grid), found)
    rows, back = (t.double().reshape(*grid.scale.shape, -1) for t in (w, found))
    slack = 4 * torch.finfo(w.dtype).eps * rows.abs().amax(-1)
    assert ((rows - back).abs().amax(-1) <= grid.scale.double() / 2 + slack).all()


@ON_SCHEMES
@settings(deadline=None, max_examples=80)
@given(tensors(), st.integers(2, 8), st.sampled_from(["tensor", "channel", 1]))
def test_the_error_is_at_most_half_a_step(scheme, w, bits, per):
    rows = as_rows(w, per)
    assume((rows.amax(-1) - rows.amin(-1)).isfinite().all())
    try:
        grid = scheme(*minmax(rows), bits)
    except ValueError as error:
        # The last number of a grid may lie half a step beyond the largest number of the dtype.
        assert rows.abs().max() > torch.finfo(w.dtype).max / 4
        assert "the ends of the grid are finite" in str(error)  # noqa: PT017
        return
    assert grid.scale.shape == rows.shape[:-1]
    assert grid.bits <= bits
    assert_within_half_a_step(w, grid)


@pytest.mark.parametrize("scheme", [asymmetric, symmetric])
@PATIENT
@given(tensors(), st.integers(2, 8))
def test_zero_stays_zero_and_rounding_twice_changes_nothing(scheme, w, bits):
    w.view(-1)[::2] = 0
    assume(w.abs().max() < torch.finfo(w.dtype).max / 4)
    once = round_to_grid(w, grid := scheme(*minmax(w.flatten()), bits))
    assert not once[w == 0].any()
    assert torch.equal(round_to_grid(once, grid), once)


@ON_SCHEMES
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_is_refused(scheme, bad):
    w = torch.tensor([1.0, bad, 0.0])
    with pytest.raises(ValueError, match="NaN or infinity"):
        scheme(*minmax(w), 4)
    with pytest.raises(ValueError, match="NaN or infinity"):
        to_integers(w, scheme(torch.tensor(-1.0), torch.tensor(1.0), 4))


@ON_SCHEMES
def test_a_range_that_overflows_or_is_reversed_is_refused(scheme):
    with pytest.raises(ValueError, match="float32 must hold high - low"):
        scheme(torch.tensor(-3e38), torch.tensor(3e38), 8)
    with pytest.raises(ValueError, match="in order"):
        scheme(torch.tensor(1.0), torch.tensor(-1.0), 8)
    scheme(torch.tensor(-3e38).double(), torch.tensor(3e38).double(), 8)


@ON_SCHEMES
@pytest.mark.parametrize("bits", [1, 9, 4.0, -2])
def test_other_bits_are_refused(scheme, bits):
    with pytest.raises(ValueError, match=f"bits is {bits}"):
        scheme(torch.tensor(-1.0), torch.tensor(1.0), bits)


@ON_SCHEMES
@pytest.mark.parametrize("value", [0.0, 2.5, -1e-45, 1e-30])
def test_a_constant_comes_back(scheme, value):
    w = torch.full((3,), value)
    back = round_to_grid(w, scheme(*minmax(w), 8))
    torch.testing.assert_close(back, w, rtol=1e-6, atol=1e-38)


def test_the_textbook_formula():
    w = torch.randn(1000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    low, high = w.min(), w.max()
    expected = np.round((w.numpy() - low.numpy()) / (high - low).numpy() * 15)
    grid = textbook(low, high, bits=4)
    assert to_integers(w, grid).tolist() == expected.tolist()
    assert set(to_integers(w, grid).tolist()) == set(range(16))
    ends = torch.stack([low, high])
    assert torch.allclose(round_to_grid(ends, grid), ends)


def test_asymmetric_by_hand():
    grid = asymmetric(torch.tensor(-0.5), torch.tensor(1.5), bits=2)
    assert grid.scale == pytest.approx(2 / 3)
    assert (grid.zero_point, grid.lowest, grid.highest) == (1, 0, 3)
    w = torch.tensor([-0.5, 0.0, 0.5, 1.1, 9.0])
    assert to_integers(w, grid).tolist() == [0, 1, 2, 3, 3]
    assert to_integers(w, grid).dtype == torch.uint8
    assert round_to_grid(w, grid).tolist() == pytest.approx([-2 / 3, 0, 2 / 3, 4 / 3, 4 / 3])


def test_asymmetric_holds_zero_where_the_range_does_not():
    grid = asymmetric(torch.tensor(2.0), torch.tensor(5.1), bits=8)
    assert (grid.scale * 255, grid.zero_point) == (pytest.approx(5.1), 0)
    grid = asymmetric(torch.tensor(-5.1), torch.tensor(-2.0), bits=8)
    assert (grid.scale * 255, grid.zero_point) == (pytest.approx(5.1), 255)


def test_symmetric_by_hand():
    grid = symmetric(torch.tensor([-7.0, 0.0]), torch.tensor([1.0, 14.0]), bits=4)
    assert grid.scale.tolist() == [1, 2]
    assert (grid.lowest, grid.highest, grid.bits) == (-7, 7, 4)
    w = torch.tensor([[-7.0, 2.4, 2.6], [3.0, 5.0, 99.0]])
    # Halves go to the even integer: 3/2 to 2, and 5/2 to 2.
    assert to_integers(w, grid).tolist() == [[-7, 2, 3], [2, 2, 7]]
    assert to_integers(w, grid).dtype == torch.int8


def test_more_scales_never_widen_a_step():
    w = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    steps = [symmetric(*minmax(as_rows(w, per)), 4).scale for per in ("tensor", "channel", 3)]
    assert [tuple(step.shape) for step in steps] == [(), (4,), (4, 2)]
    assert (steps[1] <= steps[0]).all()
    assert torch.equal(steps[2].amax(1), steps[1])


@PATIENT
@given(tensors())
def test_binary_and_ternary_round_to_the_nearest(w):
    assume(w.abs().max() < torch.finfo(w.dtype).max / 64)
    for lay, expected in ((binary, 2), (ternary, 3)):
        grid = lay(w.flatten())
        places = to_floats(torch.arange(grid.lowest, grid.highest + 1), grid)
        assert len(places) == expected
        found, rows = round_to_grid(w, grid).double(), w.double()
        nearest = (rows[..., None] - places.double()).abs().amin(-1)
        slack = 4 * torch.finfo(w.dtype).eps * max(places.abs().max(), w.abs().max())
        assert ((rows - found).abs() <= nearest + slack).all()


def test_binary_is_the_sign_times_the_mean():
    w = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(round_to_grid(w, binary(w)), w.sign() * w.abs().mean(1, keepdim=True))
    assert binary(w).bits == 1
    assert set(to_integers(w, binary(w)).unique().tolist()) == {0, 1}


def test_no_other_size_makes_the_error_of_ternary_less():
    w = torch.randn(3, 40, generator=torch.Generator().manual_seed(0))
    best = (w - round_to_grid(w, ternary(w))).square().sum(1)
    zero = torch.tensor(0)
    for row, least in zip(w, best, strict=True):
        grids = [QParams(torch.tensor(a), zero, -1, 1) for a in np.linspace(0.01, 3, 500).tolist()]
        errors = [(row - round_to_grid(row, grid)).square().sum().item() for grid in grids]
        assert least <= min(errors) + 1e-5
        assert least >= min(errors) - 0.05


def test_ternary_of_pruned_weights_is_their_size():
    w = torch.tensor([0.0, -2.0, 0.0, 2.0, 2.0])
    assert ternary(w).scale == 2
    assert torch.equal(round_to_grid(w, ternary(w)), w)


@pytest.mark.parametrize("lay", [binary, ternary])
def test_two_and_three_levels_refuse_what_is_not_finite_or_empty(lay):
    for bad in ([torch.nan, 1.0], [torch.inf, 1.0]):
        with pytest.raises(ValueError, match="NaN or infinity in the rows"):
            lay(torch.tensor(bad))
    for bad, shape in (([], r"\(0,\)"), (3.0, r"\(\)")):
        with pytest.raises(ValueError, match=f"the rows is {shape}: give 1 or more axes"):
            lay(torch.tensor(bad))
    zeros = torch.zeros(2, 3)
    assert lay(zeros).scale.isfinite().all()


@pytest.mark.parametrize(
    ("scale", "zero_point", "lowest", "highest"),
    [
        (0.0, 0.0, 0, 3),
        (-1.0, 0.0, 0, 3),
        (torch.nan, 0.0, 0, 3),
        (torch.inf, 0.0, 0, 3),
        (1.0, torch.nan, 0, 3),
        (3e38, 0.0, 0, 3),
        (1.0, 0.0, 3, 3),
        (1.0, 0.0, 0, 2**24),
        (1.0, 0.0, 0.0, 3.0),
    ],
)
def test_a_grid_that_is_none_is_refused(scale, zero_point, lowest, highest):
    with pytest.raises(ValueError, match="grid"):
        QParams(torch.tensor(scale), torch.tensor(zero_point), lowest, highest)


@pytest.mark.parametrize(
    ("lowest", "highest", "dtype"),
    [
        (0, 255, torch.uint8),
        (-127, 127, torch.int8),
        (-128, 128, torch.int16),
        (0, 256, torch.int16),
        (-40_000, 40_000, torch.int32),
    ],
)
def test_integers_fit_their_dtype(lowest, highest, dtype):
    grid = QParams(torch.tensor(0.5), torch.tensor(0), lowest, highest)
    integers = to_integers(torch.tensor([-1e6, 1e6]), grid)
    assert integers.tolist() == [lowest, highest]
    assert integers.dtype == dtype


def test_a_grid_has_a_zero_point_for_each_scale():
    with pytest.raises(ValueError, match=r"scales of shape \(2,\) and zero points of shape \(\)"):
        QParams(torch.ones(2), torch.tensor(0), 0, 3)


def test_the_gradient_is_that_of_a_clamp_and_of_a_learned_step():
    w = torch.tensor([-9.0, -1.3, 0.4, 0.6, 9.0], requires_grad=True)
    scale = torch.tensor(0.5, requires_grad=True)
    grid = QParams(scale, torch.tensor(0), -4, 4)
    upstream = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    (round_to_grid(w, grid) * upstream).sum().backward()
    assert w.grad.tolist() == [0, 2, 3, 4, 0]
    # LSQ, equation 3: the end outside, round(w / s) - w / s inside.
    steps = [-4, round(-2.6) + 2.6, round(0.8) - 0.8, round(1.2) - 1.2, 4]
    assert scale.grad.item() == pytest.approx(
        sum(s * u for s, u in zip(steps, upstream.tolist(), strict=True))
    )


def test_the_gradient_of_a_step_where_zero_lies_between_two_numbers():
    scale = torch.tensor(1.0, requires_grad=True)
    for w, q in ((0.3, 1), (-0.9, 0), (9.0, 1)):
        grid = QParams(scale, torch.tensor(0.5), 0, 1)
        (found,) = torch.autograd.grad(round_to_grid(torch.tensor(w), grid), scale)
        inside = abs(w) <= 0.5
        assert found.item() == pytest.approx(q - 0.5 - (w if inside else 0))


def test_the_dtype_of_the_values_stays():
    grid = QParams(torch.tensor(0.5), torch.tensor(0), -4, 4)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert round_to_grid(torch.tensor([0.7], dtype=dtype), grid).dtype == dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("bits", [2, 8])
@ON_SCHEMES
def test_the_error_in_half_precision(scheme, bits, dtype):
    w = torch.randn(4, 30, generator=torch.Generator().manual_seed(0)) + torch.tensor(
        [[0], [1]] * 2
    )
    w = w.to(dtype)
    assert_within_half_a_step(w, scheme(*minmax(w), bits))


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30, 5e37])
def test_the_best_size_of_few_levels_goes_with_the_weights(size):
    w = torch.tensor([4.0, -3.0, 3.0, 0.1])
    for lay in (binary, ternary):
        torch.testing.assert_close(lay(w * size).scale / size, lay(w).scale)
        # The squares of these are beyond float64, and their sum is not.
        torch.testing.assert_close(lay(w.double() * 1e300).scale / 1e300, lay(w.double()).scale)


def test_rows_of_biases_and_of_no_weights():
    assert [tuple(as_rows(torch.ones(3), per).shape) for per in ("tensor", "channel", 1)] == [
        (3,),
        (3, 1),
        (3, 1, 1),
    ]
    for per in ("tensor", "channel", 2):
        with pytest.raises(ValueError, match=r"the shape of the weight is \(0, 4\)"):
            as_rows(torch.zeros(0, 4), per)


def test_as_rows_refuses_groups_that_do_not_fit():
    for per in (4, 0, -1, "unit", 2.0):
        with pytest.raises(ValueError, match=r"divides the 6 weights"):
            as_rows(torch.zeros(2, 6), per)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@ON_SCHEMES
def test_a_gpu_gives_the_same_integers(scheme):
    w = torch.randn(5, 100)
    here, there = (scheme(*minmax(t), 4) for t in (w, w.cuda()))
    assert torch.equal(to_integers(w, here), to_integers(w.cuda(), there).cpu())
