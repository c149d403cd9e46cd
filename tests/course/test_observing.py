"""Whatever a function does, an observation comes back; a penalty's holds its gradient."""

import pytest
import torch

from pruneedu.course.observing import observe
from pruneedu.course.plain import pack, unpack
from pruneedu.models import mlp


def observed(function) -> dict:
    model = mlp(2, 1)
    model.load_state_dict({"fc1.weight": torch.tensor([[3.0, -4.0]]), "fc1.bias": torch.ones(1)})
    return unpack(observe(function, pack({"args": [model], "kwargs": {}})))


def test_a_penalty_comes_with_its_gradient():
    gradient = observed(lambda model: model.fc1.weight.abs().sum())["gradient"]
    assert {name: g.tolist() for name, g in gradient.items()} == {
        "fc1.weight": [[1.0, -1.0]],
        "fc1.bias": [0.0],
    }


def test_nothing_else_comes_with_a_gradient():
    others = (
        lambda model: model.fc1.weight.detach().abs().sum(),
        lambda model: model.fc1.weight.abs().sum().item(),
        lambda model: model.fc1.weight.abs(),
        lambda model: torch.ones((), requires_grad=True).expand(1),
        lambda model: model,
    )
    assert all("gradient" not in observed(function) for function in others)


def test_a_scalar_that_does_not_depend_on_the_model_has_a_gradient_of_zeros():
    gradient = observed(lambda model: torch.ones((), requires_grad=True))["gradient"]
    assert not gradient["fc1.weight"].any()


def test_a_gradient_that_cannot_be_taken_is_an_error_of_the_answer():
    def spoiled(model):
        root = model.fc1.weight.exp()
        penalty = root.sum()
        root.zero_()
        return penalty

    seen = observed(spoiled)
    assert seen["error"]["type"] == "RuntimeError"
    assert seen["after"]["args"][0].state["fc1.weight"].tolist() == [[3.0, -4.0]]


class Mute(Exception):  # noqa: N818
    """An error whose own text raises."""

    def __str__(self):
        raise SystemExit


class Tensorish(torch.Tensor):
    """A tensor of another type, which is no plain data."""


def raises(error):
    def function(_model):
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "kind"),
    [(Mute(), "an error"), (SystemExit(0), "SystemExit"), (ValueError("\ud800"), "ValueError")],
)
def test_an_error_is_written_down_whatever_its_text_does(error, kind):
    seen = observed(raises(error))
    assert seen["error"]["type"] == kind
    assert "result" not in seen


def test_a_text_of_an_error_is_cut_short():
    assert len(observed(raises(ValueError("x" * 10_000)))["error"]["message"]) == 500


def test_only_an_interrupt_passes():
    with pytest.raises(KeyboardInterrupt):
        observed(raises(KeyboardInterrupt))


def test_a_result_that_is_not_plain_is_an_error():
    assert observed(lambda model: iter([model]))["error"]["type"] == "NotPlainError"


def test_arguments_that_are_no_longer_plain_are_left_out():
    def spoil(model):
        model.register_buffer("odd", torch.ones(1).as_subclass(Tensorish))
        return 1

    assert observed(spoil) == {"result": 1, "after": None}


def test_what_a_call_changes_is_seen_afterwards():
    seen = observed(lambda model: model.fc1.weight.data.zero_().sum().item())
    state = seen["after"]["args"][0].state
    assert (state["fc1.weight"].tolist(), state["fc1.bias"].tolist()) == ([[0.0, 0.0]], [1.0])


def test_the_random_numbers_of_a_case_are_the_same_each_time():
    first, again = (observed(lambda _model: torch.rand(2))["result"] for _ in range(2))
    assert torch.equal(first, again)
