"""Ablation against numbers by hand, and against masks applied one at a time."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from pruneedu import models
from pruneedu.data import Split
from pruneedu.evaluation import accuracy, evaluate, macro_f1
from pruneedu.pruning import ablation, apply_masks
from pruneedu.regularization import with_dropout
from pruneedu.tensors import prunable, prunable_layers


def confidence(logits, y):
    """Return minus the loss: a smooth performance, so that each weight counts."""
    return -nn.functional.cross_entropy(logits, y)


class Residual(nn.Module):
    """A network whose first units are read twice."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.conv2, self.relu2 = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()
        self.fc = nn.Linear(3, 4)

    def forward(self, x):
        x = self.bn1(self.conv1(x))
        x = x + self.relu2(self.conv2(x))
        return self.fc(x.mean((2, 3)))


class Tokens(nn.Module):
    """A network whose linear layers see many positions."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 4))

    def forward(self, x):
        return self.net(x[:, 0]).mean(1)


MODELS = {
    "mlp": lambda: models.mlp(64, 9, 7, 4),
    "small_cnn": lambda: models.small_cnn((3, 5), classes=4),
    "conv_then_flat": lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 4)),
    "dropout": lambda: with_dropout(models.mlp(64, 9, 4), 0.5),
    "residual": Residual,
    "tokens": Tokens,
    "tokens_in_a_chain": lambda: nn.Sequential(
        nn.Flatten(1, 2),
        nn.Linear(8, 5),
        nn.ReLU(),
        nn.Linear(5, 3),
        nn.Flatten(),
        nn.Linear(24, 4),
    ),
}
ON_MODELS = pytest.mark.parametrize("name", MODELS)


def prepare(name):
    torch.manual_seed(0)
    model, y = MODELS[name](), torch.arange(20) % 4
    data = Split(torch.randn(20, 1, 8, 8), y)
    with torch.no_grad():  # a few steps, so that the batch normalisation has seen data
        for _ in range(3):
            model(data.x)
    return model.eval(), data


def one_by_one(model, data, metric, level):
    """Return the scores that a loop over masked networks gives."""
    like = prunable(model)
    if level != "weight":
        like = {
            name: layer.weight.flatten(1)[:, 0] for name, layer in prunable_layers(model).items()
        }
    whole = float(evaluate(model, data, metric))
    scores = {}
    for name, tensor in like.items():
        keep = torch.ones_like(tensor, dtype=torch.bool)
        scores[name] = torch.zeros(tensor.shape if level != "layer" else ())
        for i in range(1 if level == "layer" else keep.numel()):
            keep.fill_(level != "layer").view(-1)[i] = False
            left = float(evaluate(apply_masks(model, {name: keep}), data, metric))
            scores[name].view(-1)[i] = (whole - left) / abs(whole)
    return scores


def assert_scores(found, expected):
    assert list(found) == list(expected)
    for name, score in expected.items():
        torch.testing.assert_close(found[name], score, rtol=0, atol=1e-6)


@ON_MODELS
@pytest.mark.parametrize("level", ["unit", "layer", "weight"])
def test_it_equals_the_loop_over_masked_networks(name, level):
    model, data = prepare(name)
    found = ablation(model, data, confidence, level, batch_size=8)
    assert_scores(found, one_by_one(model, data, confidence, level))
    assert all(score.count_nonzero() >= score.numel() / 2 for score in found.values())


@ON_MODELS
@pytest.mark.parametrize("metric", [accuracy, macro_f1])
def test_it_equals_the_loop_also_where_answers_are_counted(name, metric):
    model, data = prepare(name)
    assert_scores(ablation(model, data, metric), one_by_one(model, data, metric, "unit"))


def by_hand():
    """Return a network of two hidden units, each of which decides for one class."""
    model = models.mlp(2, 2, 2)
    with torch.no_grad():
        model.fc1.weight.copy_(torch.eye(2))
        model.fc2.weight.copy_(torch.eye(2))
        model.fc1.bias.zero_()
        model.fc2.bias.copy_(torch.tensor([0.0, 0.5]))
    return model, Split(torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 1]))


def test_units_by_hand():
    # Without unit 0 all logits are (0, ≥ 0.5): the two of class 0 are lost. Without unit 1 the
    # bias still chooses class 1 for the last example.
    model, data = by_hand()
    two_thirds = pytest.approx(2 / 3)
    assert ablation(model, data)["fc1"].tolist() == [two_thirds, 0]
    assert ablation(model, data)["fc2"].tolist() == [two_thirds, pytest.approx(1 / 3)]


def test_layers_and_weights_by_hand():
    model, data = by_hand()
    assert ablation(model, data, level="layer") == {
        "fc1": torch.tensor(2 / 3),
        # All logits are 0, the bias too, and the first of equals is the answer.
        "fc2": torch.tensor(1 / 3),
    }
    weights = ablation(model, data, level="weight")
    assert weights["fc1.weight"].tolist() == [[pytest.approx(2 / 3), 0], [0, 0]]
    assert weights["fc2.weight"].tolist() == [[pytest.approx(2 / 3), 0], [0, 0]]


def test_a_unit_that_harms_scores_below_zero():
    model, data = by_hand()
    wrong = Split(torch.cat([data.x, torch.tensor([[3.0, 2.0]])]), torch.tensor([0, 0, 1, 1]))
    assert ablation(model, wrong)["fc1"][0] == pytest.approx((3 - 2) / 3)
    worse = Split(data.x, torch.tensor([1, 1, 1]))
    assert ablation(model, worse)["fc1"].tolist() == [pytest.approx((1 - 3) / 1), 0]


def test_without_a_unit_its_output_is_zero_after_the_activation():
    # A sigmoid of a masked unit would still say 1/2.
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.Sigmoid(), nn.Linear(2, 2))
    data = Split(torch.randn(9, 3), torch.arange(9) % 2)
    removed = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid(), nn.Linear(1, 2))
    removed.load_state_dict(
        {
            "0.weight": model[0].weight[1:],
            "0.bias": model[0].bias[1:],
            "2.weight": model[2].weight[:, 1:],
            "2.bias": model[2].bias,
        }
    )
    whole, left = evaluate(model, data, confidence), evaluate(removed, data, confidence)
    found = ablation(model, data, confidence)["0"][0]
    torch.testing.assert_close(found, (whole - left) / abs(whole))


def test_the_prefix_is_computed_once_and_few_rows_at_a_time():
    torch.manual_seed(0)
    model = models.mlp(6, 70, 4, 3)
    rows = {"fc1": [], "fc2": [], "fc3": []}
    for name, seen in rows.items():
        model.get_submodule(name).register_forward_pre_hook(
            lambda _, inputs, seen=seen: seen.append(inputs[0].shape)
        )
    ablation(model, Split(torch.randn(10, 6), torch.arange(10) % 3), confidence, batch_size=10)
    # Twice the whole network, then units of fc1 in two groups, of fc2 and of fc3 in one.
    assert rows["fc1"] == [(10, 6)] * 6
    assert max(shape[0] for seen in rows.values() for shape in seen) <= 10


@pytest.mark.parametrize("level", ["unit", "layer", "weight"])
def test_nothing_changes_also_after_an_error(level):
    model, data = prepare("small_cnn")
    model.train()
    before = copy.deepcopy(model.state_dict())

    def broken(logits, y):
        broken.calls += 1
        if broken.calls == 5:
            raise RuntimeError
        return 1.0

    for metric in (confidence, broken):
        broken.calls = 0
        try:
            ablation(model, data, metric, level)
        except RuntimeError:
            assert metric is broken
        assert all(module.training for module in model.modules())
        assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
        assert not any(module._forward_hooks for module in model.modules())


def test_a_performance_of_zero_has_no_shares():
    model, data = by_hand()
    with pytest.raises(ValueError, match="performance of the whole network is 0"):
        ablation(model, Split(data.x, 1 - data.y))


def test_a_performance_that_is_not_finite_names_the_layer():
    model, data = by_hand()
    with pytest.raises(ValueError, match="'fc1' hold NaN"):
        ablation(model, data, lambda logits, y: float("nan"))


def test_levels_are_checked():
    model, data = by_hand()
    with pytest.raises(ValueError, match="level is 'filter': choose 'unit', 'layer' or 'weight'"):
        ablation(model, data, level="filter")


def test_a_layer_that_costs_nothing_is_no_error():
    model, data = by_hand()
    same = Split(data.x[:2], data.y[:2])
    # Each class alone is enough: taking out class 1 changes no answer.
    assert ablation(model, same, level="unit")["fc2"].tolist() == [1, 0]
    partly = partial(ablation, model, Split(data.x[2:], data.y[2:]))
    assert partly()["fc1"].tolist() == [0, 0]
