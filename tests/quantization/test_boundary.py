"""What a function refuses where it meets its user: the error names the thing and what to give."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from pruneedu import quantization as Q

GRID = Q.QParams(torch.ones(2), torch.zeros(2), -1, 1)
CALIBRATORS = {
    "minmax": Q.minmax,
    "moving_average": Q.moving_average,
    "percentile": Q.percentile,
    "mse": partial(Q.mse, scheme=Q.symmetric, bits=4),
    "kl": partial(Q.kl, bits=4),
}
TAKE_FLOATS = CALIBRATORS | {
    "binary": Q.binary,
    "ternary": Q.ternary,
    "to_integers": partial(Q.to_integers, grid=GRID),
    "symmetric": lambda values: Q.symmetric(values, values, 4),
    "asymmetric": lambda values: Q.asymmetric(values, values, 4),
    "textbook": lambda values: Q.textbook(values, values, 4),
}


@pytest.mark.parametrize("function", TAKE_FLOATS.values(), ids=TAKE_FLOATS)
def test_floats_are_asked_for(function):
    for wrong, found in (([1.0, 2.0], "list"), (1.0, "float"), (torch.tensor([1, 2]), "int64")):
        with pytest.raises(
            TypeError, match=rf"expected a tensor of floats .* got (torch\.)?{found}"
        ):
            function(wrong)
    for wrong in (math.nan, math.inf):
        with pytest.raises(ValueError, match="NaN or infinity in "):
            function(torch.tensor([1.0, wrong]))


@pytest.mark.parametrize("calibrate", CALIBRATORS.values(), ids=CALIBRATORS)
def test_a_single_number_is_no_row(calibrate):
    with pytest.raises(ValueError, match=r"the shape of the values is \(\): give 1 or more axes"):
        calibrate(torch.tensor(3.0))


ROW = torch.tensor([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Q.mse(ROW, Q.symmetric, 4, candidates=0), "candidates is 0"),
        (lambda: Q.kl(ROW, 4, candidates=2.5), r"candidates is 2\.5"),
        (lambda: Q.moving_average(ROW, batches=0), "batches is 0"),
        (lambda: Q.moving_average(ROW, momentum=1), "momentum is 1"),
        (lambda: Q.packed_bytes(5, bits=-3), "bits is -3"),
        (lambda: Q.packed_bytes(5, bits=2.5), r"bits is 2\.5"),
        (lambda: Q.packed_bytes(-5, bits=3), "count is -5"),
        (lambda: Q.choose_bits({"a": {2: 0.1, -4: 0.0}}, {"a": 100}, 100), "bits is -4"),
    ],
)
def test_numbers_that_count_nothing_are_refused(call, message):
    with pytest.raises(ValueError, match=f"{message}: give a (whole )?number"):
        call()


def test_rows_that_are_not_the_grids_are_refused():
    for call in (Q.to_integers, Q.to_floats, Q.round_to_grid):
        with pytest.raises(ValueError, match=r"shape \(3,\), which does not part .* shape \(2,\)"):
            call(ROW, GRID)
    for call in (Q.to_floats, Q.round_to_grid):
        with pytest.raises(TypeError, match="the values are of type list: give a tensor"):
            call([1.0, 2.0], GRID)


def test_a_grid_is_made_of_tensors():
    with pytest.raises(TypeError, match=r"the grid's scale is 0\.5: give a tensor"):
        Q.QParams(0.5, torch.tensor(0), -1, 1)
    with pytest.raises(TypeError, match="the grid's zero_point is 0: give a tensor"):
        Q.QParams(torch.tensor(0.5), 0, -1, 1)

    with pytest.raises(TypeError, match=r"the grid's scale is torch\.int64: give floats"):
        Q.QParams(torch.tensor(1), torch.tensor(0), -1, 1)


def test_distances_are_of_parameters_on_grids():
    layer, one = nn.Linear(2, 1), Q.QParams(torch.tensor(1.0), torch.tensor(0), -1, 1)
    with pytest.raises(ValueError, match="'' is what goes into a layer"):
        Q.distance_to_grid(layer, {"": one})
    with pytest.raises(TypeError, match="give a dict from name to QParams, with an entry"):
        Q.distance_to_grid(layer, {})


def test_a_grid_may_lie_to_one_side_of_zero_but_not_in_integers():
    far = Q.textbook(torch.tensor(2.0), torch.tensor(257.0), bits=8)
    assert far.zero_point == -2
    assert Q.to_floats(Q.to_integers(torch.tensor([2.0, 9.0]), far), far).tolist() == [2, 9]
    weights = Q.symmetric(torch.tensor(-1.0), torch.tensor(1.0), 8)
    near = Q.asymmetric(torch.tensor(0.0), torch.tensor(255.0), 8)
    with pytest.raises(ValueError, match=r"the grid of the inputs .* lay one by asymmetric"):
        Q.integer_layer(nn.Linear(2, 1), far, weights, near)


def test_errors_of_a_model_say_where():
    layer = nn.Linear(2, 1)
    with pytest.raises(TypeError, match="the data is of type Tensor: give Split"):
        Q.input_ranges(layer, torch.ones(3, 2))
    with pytest.raises(TypeError, match="no grid for 'weight': expected a tensor of floats"):
        Q.plan_grids({"weight": (torch.tensor([-1]), torch.tensor([1]))}, bits=4)
