"""Criteria by gradients, against numbers by hand, loops over examples, and finite differences."""

import copy
import math
from functools import partial

import pytest
import torch
import torch_pruning
from torch import nn

from pruneedu.data import Split
from pruneedu.models import mlp, mnist1d_cnn, small_cnn
from pruneedu.pruning import fisher, gradient, record_gradients_, sensitivity, taylor, taylor_units
from pruneedu.tensors import prunable
from pruneedu.training import fit


def odd_layers():
    """Return layers that a formula for the plain ones would get wrong."""
    return nn.Sequential(
        nn.Conv2d(4, 6, 3, stride=2, padding=1, padding_mode="circular", groups=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 5, 2, dilation=2, bias=False),
        nn.Flatten(2),
        nn.Linear(4, 3),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(15, 3),
    )


MODELS = {
    "mlp": (lambda: mlp(6, 5, 3), (9, 6)),
    "small_cnn": (lambda: small_cnn((3, 4), classes=3), (9, 1, 8, 8)),
    "mnist1d_cnn": (lambda: mnist1d_cnn(channels=3, classes=3), (9, 40)),
    "odd layers": (odd_layers, (9, 4, 8, 8)),
}
ON_MODELS = pytest.mark.parametrize("model_name", MODELS)

# Both examples reach two outputs that are equal at first, so each logit's gradient is ±1/2.
BY_HAND = Split(torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([0, 1]))


def two_neurons(weight=((0.0, 0.0), (0.0, 0.0))):
    model = mlp(2, 2)
    with torch.no_grad():
        model.fc1.weight.copy_(torch.tensor(weight))
        model.fc1.bias.zero_()
    return model


def prepare(name):
    torch.manual_seed(0)
    make, shape = MODELS[name]
    return make().double().eval(), Split(torch.randn(shape).double(), torch.arange(9) % 3)


def one_by_one(model, data, loss=nn.functional.cross_entropy):
    """Return the gradients of each example, by one backward pass each: name -> [N, …]."""
    gradients = {name: [] for name in prunable(model)}
    for i in range(len(data.x)):
        model.zero_grad()
        loss(model(data.x[i : i + 1]), data.y[i : i + 1]).backward()
        for name, weight in prunable(model).items():
            gradients[name].append(weight.grad.clone())
    model.zero_grad()
    return {name: torch.stack(rows) for name, rows in gradients.items()}


def assert_scores(found, expected):
    assert list(found) == list(expected)
    for name, score in expected.items():
        torch.testing.assert_close(found[name], score)


def test_gradient_by_hand():
    # Squares of ±1/2 · x: 1/4 · (1 + 9) and 1/4 · (4 + 0).
    assert gradient(two_neurons(), BY_HAND)["fc1.weight"].tolist() == [[2.5, 1.0], [2.5, 1.0]]


@ON_MODELS
def test_gradient_sums_the_squares_of_each_example(model_name):
    model, data = prepare(model_name)
    expected = {name: (g**2).sum(0) for name, g in one_by_one(model, data).items()}
    assert_scores(gradient(model, data), expected)


def test_gradient_agrees_with_finite_differences():
    model, data = prepare("mlp")
    one = Split(data.x[:1], data.y[:1])
    score = gradient(model, one)["fc1.weight"]
    for index in [(0, 0), (2, 3), (4, 5)]:
        losses = []
        for step in (1e-5, -1e-5):
            moved = copy.deepcopy(model)
            moved.fc1.weight.data[index] += step
            losses.append(nn.functional.cross_entropy(moved(one.x), one.y).item())
        slope = (losses[0] - losses[1]) / 2e-5
        assert score[index].item() == pytest.approx(slope**2, rel=1e-5, abs=1e-12)


def test_gradient_of_another_loss():
    model, data = prepare("mlp")

    def squared_error(out, y):
        return ((out - torch.eye(3, dtype=out.dtype)[y]) ** 2).mean()

    expected = {n: (g**2).sum(0) for n, g in one_by_one(model, data, squared_error).items()}
    assert_scores(gradient(model, data, loss=squared_error), expected)


def test_cancelling_gradients_still_count():
    # The same example under both labels: the gradients of the two losses sum to 0.
    data = Split(torch.ones(2, 2), torch.tensor([0, 1]))
    assert gradient(two_neurons(), data)["fc1.weight"].tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_sensitivity_by_hand():
    # Weight row c moves output c by x, and the other output not at all: |x|, averaged over both.
    expected = [[(1 + 3) / 4, (2 + 0) / 4]] * 2
    assert sensitivity(two_neurons(), BY_HAND)["fc1.weight"].tolist() == expected


@ON_MODELS
def test_sensitivity_is_the_mean_over_examples_and_outputs(model_name):
    model, data = prepare(model_name)
    outputs = [one_by_one(model, data, lambda y, _, c=c: y[0, c]) for c in range(3)]
    expected = {n: torch.stack([g[n].abs() for g in outputs]).mean((0, 1)) for n in outputs[0]}
    assert_scores(sensitivity(model, data), expected)


def test_a_certain_network_has_no_gradient_and_is_still_sensitive():
    model, data = two_neurons(((0.0, 0.0), (-300.0, 0.0))), Split(torch.ones(4, 2), torch.zeros(4))
    assert sensitivity(model, data)["fc1.weight"].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    with pytest.raises(ValueError, match=r"every score of 'fc1\.weight' is 0"):
        gradient(model, data._replace(y=data.y.long()))


def test_recorded_gradients_are_those_that_training_used():
    torch.manual_seed(0)
    model, train, totals = mlp(4, 3, 2), Split(torch.randn(10, 4), torch.arange(10) % 2), {}
    seen = []
    fit(
        model,
        train,
        epochs=2,
        batch_size=4,
        after_step=(
            lambda model: seen.append({n: w.grad.clone() for n, w in prunable(model).items()}),
            partial(record_gradients_, totals=totals),
        ),
    )
    assert len(seen) == 6
    for name in prunable(model):
        torch.testing.assert_close(totals[name], sum(step[name] ** 2 for step in seen))


def test_one_full_batch_of_one_example_is_recorded_as_it_is_scored():
    torch.manual_seed(0)
    model, one, totals = mlp(4, 3, 2), Split(torch.randn(1, 4), torch.tensor([1])), {}
    fit(model, one, epochs=1, after_step=partial(record_gradients_, totals=totals))
    assert_scores(totals, gradient(model, one))


def test_recording_needs_a_gradient_and_the_same_model():
    with pytest.raises(ValueError, match=r"'fc1\.weight' has no gradient"):
        record_gradients_(mlp(2, 2), {})
    with pytest.raises(ValueError, match="totals are those of another model"):
        record_gradients_(mlp(2, 2), {"fc1.weight": torch.ones(3, 2)})


EQUAL_ROWS = ((1.0, 2.0), (1.0, 2.0))


def test_taylor_by_hand():
    # The mean of ∓1/2 · (1, 2) and ±1/2 · (3, 0) is ±(1/2, -1/2); times the weights (1, 2).
    scores = taylor(two_neurons(EQUAL_ROWS), BY_HAND)
    assert scores["fc1.weight"].tolist() == [[0.5, 1.0], [0.5, 1.0]]


@ON_MODELS
def test_taylor_is_the_size_of_weight_times_mean_gradient(model_name):
    model, data = prepare(model_name)
    gradients = one_by_one(model, data)
    expected = {n: (w.detach() * gradients[n].mean(0)).abs() for n, w in prunable(model).items()}
    assert_scores(taylor(model, data), expected)


def test_taylor_foresees_the_change_that_a_small_cut_makes():
    model, data = prepare("small_cnn")
    score = taylor(model, data)["conv2.weight"]
    for index in [(0, 0, 1, 1), (2, 1, 0, 2), (3, 2, 2, 0)]:
        losses = []
        for share in (1 - 1e-4, 1 + 1e-4):
            cut = copy.deepcopy(model)
            cut.conv2.weight.data[index] *= share
            losses.append(nn.functional.cross_entropy(cut(data.x), data.y).item())
        change = abs(losses[0] - losses[1]) / 2e-4
        assert score[index].item() == pytest.approx(change, rel=1e-4, abs=1e-9)


def test_taylor_units_by_hand():
    # Both outputs are 5 for the first example and 3 for the second; the gradients are ±1/2.
    scores = taylor_units(two_neurons(EQUAL_ROWS), BY_HAND)
    assert scores["fc1"].tolist() == [(2.5 + 1.5) / 2] * 2


def test_taylor_units_is_the_pull_at_a_gate_on_each_unit():
    model, data = prepare("small_cnn")
    gated = {"conv1": "relu1", "conv2": "relu2", "fc": "fc"}
    positions = {"conv1": 64, "conv2": 16, "fc": 1}
    expected = {}
    for name, module in gated.items():
        gate = torch.ones(len(model.get_submodule(name).weight)).double().requires_grad_()
        handle = model.get_submodule(module).register_forward_hook(
            lambda module, inputs, out, gate=gate: out * gate.view(1, -1, *[1] * (out.ndim - 2))
        )
        losses = [nn.functional.cross_entropy(model(x[None]), y[None]) for x, y in zip(*data)]  # noqa: B905
        pulls = torch.stack([torch.autograd.grad(loss, gate)[0] for loss in losses])
        expected[name] = pulls.abs().mean(0) / positions[name]
        handle.remove()
    assert_scores(taylor_units(model, data), expected)


def test_positions_of_a_unit_cancel_and_examples_do_not():
    # A convolution of one weight, and a last layer that reads its two positions with ± signs.
    model = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(2, 2, bias=False))
    model[0].weight.data.fill_(1.0)
    model[2].weight.data.copy_(torch.tensor([[1.0, -1.0], [0.0, 0.0]]))
    opposite = Split(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), torch.tensor([0, 0]))
    assert taylor_units(model, opposite)["0"] > 0
    cancelling = Split(torch.tensor([[[1.0, 1.0]]]), torch.tensor([0]))
    with pytest.raises(ValueError, match="every score of '0' is 0"):
        taylor_units(model, cancelling)


def test_fisher_by_hand():
    # The mean squared gradients are 1/2 · (2.5, 1.0); times the squared weights (1, 4).
    scores = fisher(two_neurons(EQUAL_ROWS), BY_HAND)
    assert scores["fc1.weight"].tolist() == [[1.25, 2.0], [1.25, 2.0]]


@ON_MODELS
def test_fisher_is_the_mean_over_examples(model_name):
    model, data = prepare(model_name)
    gradients = one_by_one(model, data)
    expected = {n: ((w.detach() * gradients[n]) ** 2).mean(0) for n, w in prunable(model).items()}
    assert_scores(fisher(model, data), expected)


def test_fisher_is_the_diagonal_of_the_hessian_on_labels_drawn_from_the_model():
    # One example under each label, as often as the model itself says it: then the mean over labels
    # of the squared gradients is the exact Fisher information, which is the Hessian of this loss.
    model, x = two_neurons(), torch.tensor([[1.0, 2.0]])
    model.fc1.weight.data.copy_(torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]]))
    data = Split(x.repeat(4, 1), torch.tensor([0, 1, 1, 1]))

    def mean_loss(weight):
        return nn.functional.cross_entropy(data.x @ weight.T, data.y)

    weight = model.fc1.weight.detach()
    hessian = torch.autograd.functional.hessian(mean_loss, weight).reshape(4, 4).diag().view(2, 2)
    torch.testing.assert_close(fisher(model, data)["fc1.weight"], weight**2 * hessian)


def test_torch_pruning_gives_units_the_same_importance():
    model = mlp(4, 5, 3)
    data = Split(torch.randn(1, 4), torch.tensor([2]))
    # Version 1.6 keeps the squares of the last example only, so there is but one.
    second_order = torch_pruning.importance.GroupHessianImportance("sum", normalizer=None)
    first_order = torch_pruning.importance.GroupTaylorImportance("sum", normalizer=None)
    graph = torch_pruning.DependencyGraph().build_dependency(model, data.x)
    group = graph.get_pruning_group(model.fc1, torch_pruning.prune_linear_out_channels, range(5))
    nn.functional.cross_entropy(model(data.x), data.y).backward()
    second_order.accumulate_grad(model)
    for criterion, theirs in ((taylor, first_order), (fisher, second_order)):
        scores = criterion(model, data)
        # A unit's group: its own weights, and the column that reads it.
        ours = scores["fc1.weight"].sum(1) + scores["fc2.weight"].sum(0)
        torch.testing.assert_close(theirs(group), ours)


def test_a_module_used_twice_is_refused_where_its_units_would_be_taken_for_others():
    relu, data = nn.ReLU(), Split(torch.ones(2, 4), torch.tensor([0, 1]))
    model = nn.Sequential(nn.Linear(4, 3), relu, nn.Linear(3, 3), relu, nn.Linear(3, 2))
    with pytest.raises(ValueError, match="ReLU of layer '0' runs more than once"):
        taylor_units(model, data)
    assert list(gradient(model, data)) == ["0.weight", "2.weight", "4.weight"]


@pytest.mark.parametrize("batch_size", [0, -3, 2.5])
def test_a_batch_holds_at_least_one_example(batch_size):
    with pytest.raises(ValueError, match=f"batch_size is {batch_size}; give a whole number"):
        gradient(two_neurons(), BY_HAND, batch_size=batch_size)
