"""Whatever a function does, an observation comes back; a penalty's holds its gradient."""

import linecache
import sys

import pytest
import torch

from pruneedu.course.observing import MAX_LINE, MAX_MESSAGE, observe, read_observation
from pruneedu.course.plain import ModelState, Tool, pack, unpack
from pruneedu.models import mlp


def seen(function, *args, **kwargs) -> dict:
    return unpack(observe(function, pack({"args": list(args), "kwargs": kwargs})))


def observed(function) -> dict:
    """What is seen of a function of a model with two known weights."""
    model = mlp(2, 1)
    model.load_state_dict({"fc1.weight": torch.tensor([[3.0, -4.0]]), "fc1.bias": torch.ones(1)})
    return seen(function, model)


def test_a_result_and_the_arguments_after_the_call_are_seen():
    def grow(items, by):
        items.append(by)
        return len(items)

    assert seen(grow, [1], by=2) == {"result": 2, "after": {"args": [[1, 2]], "kwargs": {"by": 2}}}


def test_each_call_gets_copies_of_its_own():
    case = pack({"args": [torch.zeros(2)], "kwargs": {}})
    for _ in range(2):
        assert unpack(observe(lambda x: x.add_(1).sum().item(), case))["result"] == 2


def test_arguments_that_are_kept_and_changed_later_change_no_observation():
    kept = []

    def keep(x):
        kept.append(x)
        for earlier in kept[:-1]:
            earlier.fill_(9)
        return x

    case = pack({"args": [torch.zeros(2)], "kwargs": {}})
    first, second = observe(keep, case), observe(keep, case)
    assert first == second
    assert not unpack(first)["result"].any()


def test_models_and_tools_are_live_in_the_call_and_described_in_the_observation():
    def scores(model, criterion):
        with torch.no_grad():
            model.fc1.weight.zero_()
        return criterion(model)

    found = seen(scores, mlp(2, 3), criterion=Tool("magnitude", {}))
    assert not found["result"]["fc1.weight"].any()
    model, criterion = found["after"]["args"][0], found["after"]["kwargs"]["criterion"]
    assert type(model) is ModelState
    assert not model.state["fc1.weight"].any()
    assert criterion == Tool("magnitude", {})


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
        lambda model: torch.ones((), requires_grad=True) + model.requires_grad_(False).fc1.bias[0],
        lambda model: model,
    )
    found = [observed(function) for function in others]
    assert all("result" in one and "gradient" not in one for one in found)


def test_a_scalar_that_does_not_depend_on_the_model_has_a_gradient_of_zeros():
    gradient = observed(lambda model: torch.ones((), requires_grad=True))["gradient"]
    assert not gradient["fc1.weight"].any()


def test_a_gradient_that_cannot_be_taken_is_an_error_of_the_answer():
    def spoiled(model):
        root = model.fc1.weight.exp()
        penalty = root.sum()
        root.zero_()
        return penalty

    found = observed(spoiled)
    assert found["error"]["type"] == "RuntimeError"
    assert found["after"]["args"][0].state["fc1.weight"].tolist() == [[3.0, -4.0]]


def test_random_numbers_are_the_same_each_time_and_the_callers_are_left_alone():
    before = torch.random.get_rng_state()
    first, again = (seen(lambda: torch.rand(2))["result"] for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(before, torch.random.get_rng_state())


class SilentError(Exception):
    def __str__(self):
        raise SystemExit


class LongError(Exception):
    def __str__(self):
        return "x" * 10**6


class SurrogateError(Exception):
    def __str__(self):
        return "\ud800"


class Text(str):
    __slots__ = ()

    def __getitem__(self, _):
        return object()

    def encode(self, *_, **__):
        raise RuntimeError


class SubclassError(Exception):
    def __str__(self):
        return Text("text")


@pytest.mark.parametrize(
    ("error", "name", "message"),
    [
        (ValueError("no"), "ValueError", "no"),
        (SystemExit(3), "SystemExit", "3"),
        (GeneratorExit(), "GeneratorExit", ""),
        (LongError(), "LongError", "x" * MAX_MESSAGE),
        (SurrogateError(), "SurrogateError", "?"),
        (SubclassError(), "SubclassError", "text"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_seen_with_its_type_and_its_words(error, name, message):
    def fails(x):
        x.append(1)
        raise error

    found = seen(fails, [])
    assert found["error"] == {"type": name, "message": message, "line": "raise error"}
    assert found["after"] == {"args": [[1]], "kwargs": {}}


def test_an_error_that_cannot_be_described_is_still_an_error():
    def fails():
        raise SilentError

    assert seen(fails)["error"] == {"type": "an error", "message": "", "line": ""}


def test_of_an_error_the_line_of_the_answer_is_seen_not_that_of_the_library():
    def calls_the_library(x):
        y = x + 1
        return torch.cat([x, y])

    error = seen(calls_the_library, 3)["error"]
    assert error["line"] == "return torch.cat([x, y])"
    assert seen(torch.cat, 3)["error"]["line"] == ""
    assert seen(lambda: 1, 2)["error"]["line"] == ""


def test_a_long_line_is_cut():
    space = {}
    source = "def f(): return " + " + ".join("1" * 99) + " + x\n"
    linecache.cache["<long>"] = (len(source), None, [source], "<long>")
    exec(compile(source, "<long>", "exec"), space)
    assert seen(space["f"])["error"]["line"] == source[:MAX_LINE]


def test_an_interrupt_passes():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seen(interrupted)


def test_sys_exit_and_endless_recursion_are_errors():
    def forever():
        return forever()

    assert seen(lambda: sys.exit(0))["error"]["type"] == "SystemExit"
    assert seen(forever)["error"]["type"] == "RecursionError"


@pytest.mark.parametrize(
    "result",
    [object(), {1: {2}}, torch.nn.Module, 10**400, iter([])],
    ids=["object", "set", "class", "integer", "iterator"],
)
def test_a_result_that_is_not_plain_is_an_error(result):
    found = seen(lambda: result)
    assert found["error"]["type"] == "NotPlainError"
    assert "result" not in found


def _adds_an_object(model, items):
    items.append(object())


def _takes_a_weight_away(model, items):
    del model.fc1.weight


def _changes_how_it_was_made(model, items):
    model.architecture = 3


def _adds_a_subclass(model, items):
    class Odd(torch.Tensor):
        pass

    model.register_buffer("odd", torch.ones(1).as_subclass(Odd))


@pytest.mark.parametrize(
    "spoil",
    [_adds_an_object, _changes_how_it_was_made, _adds_a_subclass],
    ids=lambda spoil: spoil.__name__,
)
def test_arguments_that_are_no_longer_plain_are_seen_as_none(spoil):
    assert seen(spoil, mlp(2, 2), []) == {"result": None, "after": None}


def test_a_weight_that_was_taken_away_is_missing_afterwards():
    state = seen(_takes_a_weight_away, mlp(2, 2), [])["after"]["args"][0].state
    assert list(state) == ["fc1.bias"]


def test_a_function_that_takes_other_arguments_and_what_is_no_function_are_errors():
    assert seen(lambda: 1, 2)["error"]["type"] == "TypeError"
    assert seen(3)["error"]["type"] == "TypeError"


def test_what_was_observed_is_read_and_anything_else_is_an_error():
    good = observe(abs, pack({"args": [-2], "kwargs": {}}))
    after = {"args": [-2], "kwargs": {}}
    assert read_observation(good) == {"result": 2, "gradient": None, "after": after}
    for forged in (b"", pack(3), pack({"after": 1}), pack({"result": 1, "error": 2})):
        assert read_observation(forged)["error"]["type"] == "NotPlainError"


def test_a_model_comes_with_old_gradients_so_that_adding_to_them_shows():
    def by_backward(model):
        model(torch.ones(1, 2)).sum().backward()
        return model.fc1.weight.grad

    seen = unpack(observe(by_backward, pack({"args": [mlp(2, 1)], "kwargs": {}})))
    assert seen["result"].tolist() == [[2.0, 2.0]]
