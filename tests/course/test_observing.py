"""Whatever a function does to its arguments or its errors, an observation comes back."""

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
