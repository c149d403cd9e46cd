from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pruneedu.data import Split
from pruneedu.evaluation import evaluate
from pruneedu.models import lenet5, mlp, mnist1d_cnn, small_cnn
from pruneedu.regularization import (
    group_lasso,
    l1,
    l2,
    proximal_group_lasso_,
    proximal_l1_,
    with_dropout,
)
from pruneedu.tensors import prunable
from pruneedu.training import fit

numbers = st.floats(-4, 4, width=32)
strengths = st.floats(0, 3, width=32)


def small_net():
    """One layer of each kind, and parameters that no penalty may touch."""
    torch.manual_seed(0)
    convolutions = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(2)
    return nn.Sequential(*convolutions, nn.Conv1d(3, 2, 5), nn.Flatten(), nn.Linear(64, 4)).double()


def linear(rows):
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return layer


def plain_data(rows=200, seed=0):
    """Only the first 2 of 6 inputs say anything about the class."""
    x = torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed))
    return Split(x, (x[:, 0] + x[:, 1] > 0).long())


# --- penalties -----------------------------------------------------------------------------------


@given(
    rows=st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=4), k=strengths
)
@settings(max_examples=40, deadline=None)
def test_penalties_follow_their_formulas(rows, k):
    layer = linear(rows)
    flat = [w for row in rows for w in row]
    expected = {
        l1: k * sum(abs(w) for w in flat),
        l2: k * sum(w**2 for w in flat),
        group_lasso: k * sum(3**0.5 * sum(w**2 for w in row) ** 0.5 for row in rows),
    }
    for penalty, value in expected.items():
        assert penalty(layer, k).item() == pytest.approx(value, rel=1e-5, abs=1e-6)


def test_group_lasso_of_a_convolution_groups_by_output_channel():
    convolution = nn.Conv2d(2, 3, 2)
    convolution.weight.data.zero_()[1, 1] = torch.tensor([[1.0, 2.0], [2.0, 4.0]])
    assert group_lasso(convolution, 10.0).item() == pytest.approx(10 * 8**0.5 * 5)


@pytest.mark.parametrize("penalty", [l1, l2, group_lasso])
def test_the_gradient_agrees_with_finite_differences(penalty):
    class Penalty(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = small_net()

        def forward(self):
            return penalty(self.model, 0.3)

    module = Penalty()
    weights = {f"model.{name}": weight.detach() for name, weight in prunable(module.model).items()}

    def value(*tensors):
        return torch.func.functional_call(module, dict(zip(weights, tensors, strict=True)), ())

    inputs = [weight.clone().requires_grad_() for weight in weights.values()]
    assert torch.autograd.gradcheck(value, inputs)


@pytest.mark.parametrize("penalty", [l1, l2, group_lasso])
def test_only_the_weights_of_layers_feel_a_penalty(penalty):
    model = small_net()
    penalty(model, 0.3).backward()
    touched = {name for name, p in model.named_parameters() if p.grad is not None}
    assert touched == {"0.weight", "4.weight", "6.weight"}


@pytest.mark.parametrize("penalty", [l1, l2, group_lasso])
def test_the_gradient_at_zero_is_zero(penalty):
    layer = linear([[0.0, 0.0], [3.0, 4.0]])
    penalty(layer, 1.0).backward()
    assert layer.weight.grad[0].tolist() == [0.0, 0.0]
    assert layer.weight.grad[1].abs().min() > 0


# --- proximal steps ------------------------------------------------------------------------------


@given(w=numbers, threshold=strengths)
@settings(max_examples=60, deadline=None)
def test_proximal_l1_minimises_its_objective(w, threshold):
    grid = torch.linspace(-5, 5, 100_001, dtype=torch.float64)
    best = grid[((grid - w) ** 2 / 2 + threshold * grid.abs()).argmin()].item()
    assert proximal_l1_(linear([[w]]), threshold).weight.item() == pytest.approx(best, abs=1e-3)


@given(w=st.tuples(numbers, numbers), threshold=strengths)
@settings(max_examples=40, deadline=None)
def test_proximal_group_lasso_minimises_its_objective(w, threshold):
    axis = torch.linspace(-5, 5, 801, dtype=torch.float64)
    a, b = torch.meshgrid(axis, axis, indexing="ij")
    length = (a**2 + b**2).sqrt()
    objective = ((a - w[0]) ** 2 + (b - w[1]) ** 2) / 2 + threshold * 2**0.5 * length
    best = objective.argmin()
    result = proximal_group_lasso_(linear([list(w)]), threshold).weight[0].tolist()
    # The grid's steps are 0.0125 wide, and the objective is flat in them near its minimum.
    assert result == pytest.approx([a.flatten()[best].item(), b.flatten()[best].item()], abs=0.02)


@given(
    rows=st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=4), k=strengths
)
@settings(max_examples=40, deadline=None)
def test_proximal_steps_are_firmly_nonexpansive_and_zero_keeps_all(rows, k):
    for step in (proximal_l1_, proximal_group_lasso_):
        before = torch.tensor(rows)
        after = step(linear(rows), k).weight.detach()
        assert (after.abs() <= before.abs()).all()
        assert (after * before >= 0).all()
        assert not after.isnan().any()
        assert torch.equal(step(linear(rows), 0.0).weight, before)


@pytest.mark.parametrize("step", [proximal_l1_, proximal_group_lasso_])
def test_a_proximal_step_changes_the_weights_of_layers_in_place(step):
    model = small_net()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    places = {name: p.data_ptr() for name, p in model.named_parameters()}
    assert step(model, 0.01) is model
    changed = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {"0.weight", "4.weight", "6.weight"}
    assert {name: p.data_ptr() for name, p in model.named_parameters()} == places
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_proximal_group_lasso_of_a_convolution_drops_whole_channels():
    convolution = nn.Conv2d(2, 3, 2)
    convolution.weight.data.fill_(1.0)[1] = 0.1
    proximal_group_lasso_(convolution, 0.5)
    # √8 · 0.5 is half the length √8 of the first channel, and five times that of the second.
    assert convolution.weight[0].flatten().tolist() == pytest.approx([0.5] * 8)
    assert torch.count_nonzero(convolution.weight[1]) == 0


# --- in training ---------------------------------------------------------------------------------


def zeros(model):
    return {name: (weight == 0).sum().item() for name, weight in prunable(model).items()}


def test_the_l1_penalty_sets_no_weight_to_zero_and_the_proximal_step_does():
    torch.manual_seed(1)
    model, train, strength, rate = mlp(6, 16, 2), plain_data(), 0.03, 0.05
    sgd = partial(torch.optim.SGD, lr=rate)
    penalised = fit(
        model, train, 30, optimizer=sgd, batch_size=50, penalty=partial(l1, strength=strength)
    ).model
    proximal = fit(
        model,
        train,
        30,
        optimizer=sgd,
        batch_size=50,
        after_step=partial(proximal_l1_, strength=rate * strength),
    ).model
    assert zeros(penalised) == {"fc1.weight": 0, "fc2.weight": 0}
    small = sum((w.abs() < 2 * rate * strength).sum().item() for w in prunable(penalised).values())
    assert small > 40
    assert sum(zeros(proximal).values()) > 40
    # Both approach the same minimum: the penalised run only jitters around its zeros.
    for name, weight in prunable(penalised).items():
        assert (weight - prunable(proximal)[name]).abs().max() < 0.01
    assert evaluate(proximal, train) > 0.9


def test_momentum_divides_the_proximal_strength():
    torch.manual_seed(1)
    model, train, found = mlp(6, 2), plain_data(), []
    for momentum in (0.0, 0.5):
        step = partial(proximal_l1_, strength=2 * 0.05 / (1 - momentum))
        sgd = partial(torch.optim.SGD, lr=2.0, momentum=momentum)
        fitted = fit(model, train, 300, optimizer=sgd, batch_size=200, after_step=step)
        found.append(fitted.model.fc1.weight)
    torch.testing.assert_close(*found, atol=1e-4, rtol=0)
    assert 0 < torch.count_nonzero(found[0]) < found[0].numel()


def test_the_proximal_group_lasso_drops_whole_rows_and_keeps_others_whole():
    torch.manual_seed(1)
    step = partial(proximal_group_lasso_, strength=0.05 * 0.02 / 0.1)
    model = fit(mlp(6, 16, 2), plain_data(), 100, batch_size=50, after_step=step).model
    rows = (model.fc1.weight != 0).sum(1).tolist()
    assert set(rows) == {0, 6}
    assert rows.count(0) >= 4
    assert evaluate(model, plain_data()) > 0.9


# --- dropout -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "shape", "added"),
    [
        (mlp(4, 8, 8, 2), (4,), ["relu1_dropout", "relu2_dropout"]),
        (lenet5(), (1, 28, 28), ["relu1_dropout"]),
        (small_cnn((4, 8)), (1, 8, 8), ["relu1_dropout", "relu2_dropout"]),
        (mnist1d_cnn(4), (40,), ["relu1_dropout", "relu2_dropout", "relu3_dropout"]),
        (
            nn.Sequential(nn.Linear(4, 3), nn.PReLU(), nn.Linear(3, 2), nn.Tanh()),
            (4,),
            ["1_dropout"],
        ),
        (
            nn.Sequential(
                nn.Sequential(nn.Linear(4, 3), nn.Tanh()), nn.Sequential(nn.Linear(3, 2))
            ),
            (4,),
            ["0.1_dropout"],
        ),
    ],
)
def test_with_dropout_adds_modules_and_keeps_names_and_results(model, shape, added):
    before = [name for name, _ in model.named_modules()]
    dropped = with_dropout(model, 0.4)
    assert [name for name, _ in model.named_modules()] == before
    names = [name for name, _ in dropped.named_modules()]
    assert [name for name in names if name not in before] == added
    assert all(names[names.index(name) - 1] == name.removesuffix("_dropout") for name in added)
    assert {dropped.get_submodule(name).p for name in added} == {0.4}
    assert list(dropped.state_dict()) == list(model.state_dict())
    model.load_state_dict(dropped.state_dict())
    x = torch.randn(5, *shape)
    assert torch.equal(dropped.eval()(x), model.eval()(x))
    assert not torch.equal(dropped.train()(x), dropped(x))


def test_with_dropout_leaves_the_input_alone_and_takes_its_mode():
    model = mlp(4, 8, 2).eval()
    dropped = with_dropout(model, 0.5)
    assert not any(module.training for module in dropped.modules())
    assert dropped.architecture == model.architecture
    with torch.no_grad():
        dropped.fc1.weight.zero_()
    assert torch.count_nonzero(model.fc1.weight) > 0


def test_a_dropout_of_one_drops_all_and_a_shared_activation_gets_one_each():
    activation = nn.ReLU()
    layers = nn.Linear(4, 3), activation, nn.Linear(3, 3), activation, nn.Linear(3, 2)
    dropped = with_dropout(nn.Sequential(*layers), 1.0)
    assert [name for name, _ in dropped.named_children() if "dropout" in name] == [
        "1_dropout",
        "3_dropout",
    ]
    assert torch.equal(dropped(torch.randn(1, 4))[0], dropped[-1].bias)


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.relu, self.fc2 = nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("model", "p", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU()), 0.5, "no hidden activation"),
        (nn.Sequential(nn.ReLU()), 0.5, "no hidden activation"),
        (Branching(), 0.5, "the activation relu is a child of Branching"),
        (with_dropout(mlp(4, 3, 2), 0.5), 0.5, r"has dropout already \(relu1_dropout\)"),
        (mlp(4, 3, 2), 1.5, "dropout probability has to be between 0 and 1"),
    ],
)
def test_with_dropout_names_what_is_wrong(model, p, message):
    with pytest.raises(ValueError, match=message):
        with_dropout(model, p)


@pytest.mark.parametrize("function", [l1, l2, group_lasso, proximal_l1_, proximal_group_lasso_])
@pytest.mark.parametrize(
    ("model", "strength", "message"),
    [
        (nn.Linear(2, 2), -0.1, "strength is -0.1"),
        (nn.Linear(2, 2), float("nan"), "strength is nan"),
        (nn.Linear(2, 2), float("inf"), "strength is inf"),
        (nn.BatchNorm1d(2), 0.1, "the model has no Linear or Conv layer"),
    ],
)
def test_strengths_and_models_that_make_no_sense_are_refused(function, model, strength, message):
    with pytest.raises(ValueError, match=message):
        function(model, strength)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_penalties_and_steps_agree_on_a_gpu():
    model = small_net()
    for penalty in (l1, l2, group_lasso):
        on_gpu = penalty(small_net().cuda(), 0.3)
        assert on_gpu.is_cuda
        torch.testing.assert_close(on_gpu.cpu(), penalty(model, 0.3))
    for step in (proximal_l1_, proximal_group_lasso_):
        moved, stayed = step(small_net().cuda(), 0.01).cpu(), step(small_net(), 0.01)
        torch.testing.assert_close(moved.state_dict(), stayed.state_dict())
