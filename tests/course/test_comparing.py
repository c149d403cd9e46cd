"""Differences: found where they are, told in words, and none where two values agree."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pruneedu.course.comparing import alike, difference
from pruneedu.course.exercises import Difference
from pruneedu.course.plain import ModelState, Tool


@pytest.mark.parametrize(
    ("expected", "got", "found"),
    [
        (1.0, 2, ("the result", "1", "2")),
        (1, 1.0, ("the result", "a value of type int", "a value of type float")),
        (1.0, True, ("the result", "a value of type float", "a value of type bool")),
        (1, True, ("the result", "a value of type int", "a value of type bool")),
        (True, 1, ("the result", "a value of type bool", "a value of type int")),
        (None, 0, ("the result", "None", "a value of type int")),
        ("a", "b", ("the result", "'a'", "'b'")),
        ([1], [1, 2], ("the result", "1 items", "2 items")),
        ([1], {"0": 1}, ("the result", "a value of type list", "a value of type dict")),
        ([[1, 2]], [[1, 3]], ("the result[0][1]", "2", "3")),
        ({"a": 1}, {"b": 1}, ("the result", "the keys ['a']", "the keys ['b']")),
        ({"a": 1}, {"a": 2}, ("the result['a']", "1", "2")),
        ({1: 2}, {"1": 2}, ("the result", "the keys [1]", "the keys ['1']")),
        (0.5, math.nan, ("the result", "0.5", "nan")),
        (math.inf, -math.inf, ("the result", "inf", "-inf")),
        (ModelState({"w": 1}), {"w": 1}, ("the result", "a model", "a value of type dict")),
        (ModelState({"w": 1}), ModelState({"w": 2}), ("the result['w']", "1", "2")),
        ({"w": 1}, ModelState({"w": 1}), ("the result", "a value of type dict", "a model")),
        (Tool("a", {}), Tool("b", {}), ("the result", "Tool(name='a'", "Tool(name='b'")),
        (0.5, 10**299, ("the result", "0.5", "1000")),
    ],
)
def test_the_first_difference_is_told(expected, got, found):
    where, wanted, shown = found
    told = difference(expected, got)
    assert told.where == where
    assert told.expected.startswith(wanted)
    assert told.got.startswith(shown)
    assert len(told.got) <= 120


@pytest.mark.parametrize(
    ("expected", "got", "found"),
    [
        ([[1.0, 2.0]], [[1.0, 3.0]], ("the result[0, 1]", "2", "3")),
        (1.0, 2.0, ("the result", "1", "2")),
        ([1.0], [[1.0]], ("the result", "shape (1,)", "shape (1, 1)")),
        ([True], [1], ("the result", "a tensor of torch.bool", "a tensor of torch.int64")),
        ([1], [1.0], ("the result", "a tensor of torch.int64", "a tensor of torch.float32")),
        ([True, False], [True, True], ("the result[1]", "False", "True")),
        ([1.0], [math.nan], ("the result[0]", "1", "nan")),
    ],
)
def test_the_first_entry_of_a_tensor_that_differs_is_told(expected, got, found):
    assert difference(torch.tensor(expected), torch.tensor(got)) == Difference(*found)


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ((1, [2]), [1, (2,)]),
        (2.0, 2),
        (1.0, 1.00009),
        (0.0, 9e-7),
        (math.nan, math.nan),
        (torch.tensor([math.nan, 1.0]), torch.tensor([math.nan, 1.00009])),
        (torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64)),
        (torch.zeros(0, 3), torch.zeros(0, 3)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Tool("a", {}), Tool("a", {"seed": 1})),
    ],
    ids=str,
)
def test_what_may_differ_agrees(expected, got):
    assert difference(expected, got) is None


@pytest.mark.parametrize("number", [1.0, -250.0, 1e9])
def test_the_tolerance_is_one_in_ten_thousand(number):
    tensor = torch.tensor([number], dtype=torch.float64)
    for factor, agree in ((1.00009, True), (1.00012, False), (0.99988, False)):
        assert (difference(number, number * factor) is None) is agree
        assert (difference(tensor, tensor * factor) is None) is agree


@given(st.floats(), st.floats())
@settings(max_examples=200, deadline=None)
def test_a_number_and_a_tensor_of_it_are_judged_alike(expected, got):
    # Next to the tolerance the two formulas may part: math's is relative to the larger number.
    if math.isclose(expected, got, rel_tol=1e-3, abs_tol=1e-5) and expected != got:
        return
    pair = (torch.tensor(value, dtype=torch.float64) for value in (expected, got))
    assert (difference(expected, got) is None) == (difference(*pair) is None)


def test_a_long_value_is_cut():
    assert len(difference("a" * 1000, "b" * 1000).got) == 80


def test_where_is_named_by_the_caller():
    assert (
        difference({"args": [1]}, {"args": [2]}, "the arguments").where
        == "the arguments['args'][0]"
    )


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ([1.0], (2,), True),
        ([1.0], [1.0, 2.0], False),
        ({"a": torch.zeros(2)}, {"a": torch.ones(2)}, True),
        ({"a": torch.zeros(2)}, {"a": torch.ones(3)}, False),
        ({"a": torch.zeros(2)}, {"a": torch.ones(2) > 0}, False),
        ({"a": 1}, {"b": 1}, False),
        (1.0, True, False),
        (1.0, None, False),
    ],
    ids=str,
)
def test_alike_looks_at_the_form_only(expected, got, same):
    assert alike(expected, got) is same
