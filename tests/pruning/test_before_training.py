"""Criteria before training, against numbers by hand, masks with a gradient, and sums over paths."""

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call

from pruneedu.data import Split
from pruneedu.models import mlp, mnist1d_cnn, small_cnn
from pruneedu.pruning import grasp, iterative, prune_iteratively, snip, synflow, taylor
from pruneedu.tensors import prunable

MODELS = {
    "mlp": (lambda: mlp(6, 5, 3), (9, 6)),
    "small_cnn": (lambda: small_cnn((3, 4), classes=3), (9, 1, 8, 8)),
    "mnist1d_cnn": (lambda: mnist1d_cnn(channels=3, classes=3), (9, 40)),
}
ON_MODELS = pytest.mark.parametrize("model_name", MODELS)

# Both examples reach two outputs that are equal, so each logit's gradient is ±1/2.
BY_HAND = Split(torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([0, 1]))


def two_neurons():
    model = mlp(2, 2)
    with torch.no_grad():
        model.fc1.weight.copy_(torch.tensor([[1.0, 2.0], [1.0, 2.0]]))
        model.fc1.bias.zero_()
    return model


def without_biases(model):
    """Set the biases to 0, as the theorems on synaptic flow ask: they start paths of their own."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    return model


def prepare(name):
    torch.manual_seed(0)
    make, shape = MODELS[name]
    return make().double().eval(), Split(torch.randn(shape).double(), torch.arange(9) % 3)


def assert_scores(found, expected):
    assert list(found) == list(expected)
    for name, score in expected.items():
        torch.testing.assert_close(found[name], score)


def test_snip_by_hand():
    # |w · ∂L/∂w| is (0.5, 1.0) for both neurons: 3 in all.
    scores = snip(two_neurons(), BY_HAND)
    torch.testing.assert_close(scores["fc1.weight"], torch.tensor([[0.5, 1.0], [0.5, 1.0]]) / 3)


@ON_MODELS
def test_snip_is_the_pull_at_a_mask_on_each_connection(model_name):
    model, data = prepare(model_name)
    weights = {name: weight.detach() for name, weight in prunable(model).items()}
    masks = {name: torch.ones_like(weight).requires_grad_() for name, weight in weights.items()}
    masked = {name: weights[name] * mask for name, mask in masks.items()}
    loss = nn.functional.cross_entropy(functional_call(model, masked, (data.x,)), data.y)
    pulls = [pull.abs() for pull in torch.autograd.grad(loss, list(masks.values()))]
    total = sum(pull.sum() for pull in pulls)
    assert_scores(snip(model, data), {n: p / total for n, p in zip(masks, pulls, strict=True)})


def test_snip_ranks_as_taylor_and_sums_to_one():
    model, data = prepare("small_cnn")
    shares, sizes = snip(model, data), taylor(model, data)
    assert sum(score.sum().item() for score in shares.values()) == pytest.approx(1)
    for name, share in shares.items():
        assert torch.equal(share.flatten().argsort(), sizes[name].flatten().argsort())


def test_grasp_by_hand():
    # The rows of g are ±(1/2, -1/2). A step along g moves the logits by ±a, a = x · (1/2, -1/2),
    # that is -1/2 and 3/2, and so their gradients by ±a/2. Each example then gives ±a/2 · x to H g,
    # and their mean is ±(1, -1/4).
    scores = grasp(two_neurons(), BY_HAND)["fc1.weight"]
    torch.testing.assert_close(scores, torch.tensor([[1.0, -0.5], [-1.0, 0.5]]))


@ON_MODELS
def test_grasp_foresees_how_a_small_cut_changes_the_gradient(model_name):
    model, data = prepare(model_name)
    scores = grasp(model, data)
    flow = {}
    for name, weight in prunable(model).items():
        index = (len(weight) // 2, *[0] * (weight.ndim - 1))
        for share in (1 - 1e-4, 1 + 1e-4):
            cut = copy.deepcopy(model)
            cut.get_parameter(name).data[index] *= share
            nn.functional.cross_entropy(cut(data.x), data.y).backward()
            flow[share] = sum((w.grad**2).sum().item() for w in prunable(cut).values())
        lost = (flow[1 + 1e-4] - flow[1 - 1e-4]) / 2e-4
        assert 2 * scores[name][index].item() == pytest.approx(lost, rel=1e-4, abs=1e-9), name


def test_grasp_is_the_weights_times_the_hessian_times_the_gradient():
    model, data = prepare("mlp")
    names, weights = list(prunable(model)), tuple(w.detach() for w in prunable(model).values())

    def loss(*weights):
        named = dict(zip(names, weights, strict=True))
        return nn.functional.cross_entropy(functional_call(model, named, (data.x,)), data.y)

    gradient = torch.autograd.functional.jacobian(loss, weights)
    _, products = torch.autograd.functional.hvp(loss, weights, gradient)
    expected = [w * product for w, product in zip(weights, products, strict=True)]
    assert_scores(grasp(model, data), dict(zip(names, expected, strict=True)))


def test_synflow_by_hand():
    model = mlp(2, 1, 2)
    with torch.no_grad():
        model.fc1.weight.copy_(torch.tensor([[-1.0, 2.0]]))
        model.fc1.bias.fill_(-4.0)
        model.fc2.weight.copy_(torch.tensor([[3.0], [-5.0]]))
    scores = {name: score.tolist() for name, score in synflow(model, (2,)).items()}
    # The hidden neuron gets 1 + 2 + 4 and is read with 3 + 5.
    assert scores == {"fc1.weight": [[8.0, 16.0]], "fc2.weight": [[21.0], [35.0]]}


def test_synflow_sums_over_all_paths():
    torch.manual_seed(1)
    model = without_biases(mlp(3, 4, 2, 3))
    first, second, third = (weight.detach().abs().double() for weight in prunable(model).values())
    expected = [torch.zeros_like(weight) for weight in (first, second, third)]
    for i in range(3):
        for j in range(4):
            for k in range(2):
                for o in range(3):
                    path = first[j, i] * second[k, j] * third[o, k]
                    for score, place in zip(expected, [(j, i), (k, j), (o, k)], strict=True):
                        score[place] += path
    assert_scores(synflow(model, (3,)), dict(zip(prunable(model), expected, strict=True)))


@pytest.mark.parametrize(
    ("model", "shape"),
    [(mlp(5, 4, 3), (5,)), (small_cnn((3, 4)), (1, 8, 8)), (mnist1d_cnn(channels=3), (40,))],
    ids=["mlp", "small_cnn", "mnist1d_cnn"],
)
def test_synflow_is_conserved_from_layer_to_layer(model, shape):
    totals = [score.sum().item() for score in synflow(without_biases(model), shape).values()]
    assert totals == pytest.approx([totals[0]] * len(totals))


def test_synflow_reads_neither_signs_nor_statistics():
    model = small_cnn((3, 4))
    expected = synflow(model, (1, 8, 8))
    model(torch.rand(8, 1, 8, 8))
    for weight in prunable(model).values():
        weight.data.neg_()
    found = synflow(model, (1, 8, 8))
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_synflow_of_a_deep_network_leaves_the_range_of_float32():
    scores = synflow(mlp(*[100] * 80), (100,))
    assert all(score.max() > torch.finfo(torch.float32).max for score in scores.values())


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: mlp(32, 16, 16, 16, 8), (32,)),
        (lambda: small_cnn((4, 8)), (1, 8, 8)),
        (lambda: mnist1d_cnn(channels=6), (40,)),
    ],
    ids=["mlp", "small_cnn", "mnist1d_cnn"],
)
def test_rounds_of_synflow_keep_every_layer_alive_where_one_cut_does_not(make, shape):
    torch.manual_seed(0)
    model = without_biases(make())
    target = 1 - 20 / sum(weight.numel() for weight in prunable(model).values())
    criterion, untouched = partial(synflow, shape=shape), lambda model, after_step: model
    _, cut = prune_iteratively(model, criterion, [target], untouched)
    sparse, rounds = prune_iteratively(model, criterion, iterative(target, 100), untouched)
    assert sum(mask.sum() for mask in cut.values()) == 20
    assert sum(mask.sum() for mask in rounds.values()) == 20
    assert not all(mask.any() for mask in cut.values())
    assert all(mask.any() for mask in rounds.values())
    # Alive means connected: what remains still lets the input through.
    assert all(score.any() for score in synflow(sparse, shape).values())


def test_synflow_names_a_layer_that_lets_nothing_through():
    model = mlp(4, 3, 2)
    model.fc2.weight.data.zero_()
    with pytest.raises(ValueError, match=r"every score of 'fc1\.weight' is 0"):
        synflow(model, (4,))
