"""Exercise: what the criteria only estimate: take one weight away, and measure the loss."""

import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn.functional import cross_entropy

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.lesson_03.shared import TRAINING_MODE, calm, random_split
from pruneedu.course.lessons.making import generator
from pruneedu.data import Split
from pruneedu.evaluation import eval_mode
from pruneedu.models import mlp, mnist1d_cnn, small_cnn
from pruneedu.pruning.ablation import ablation, without_each
from pruneedu.pruning.masks import apply_masks
from pruneedu.tensors import Scores, prunable


def loss_increase(model: nn.Module, data: Split) -> Scores:
    """Measure by how much the loss rises when one weight alone is set to zero, for each weight.

    increase(w) = L(w = 0) - L, L the mean cross-entropy, in eval mode

    Args:
        model: the network; it is not changed.
        data: x [N, …] and y [N].

    Returns:
        "fc1.weight" -> a tensor of the weight's shape. Below zero, the loss falls without it.

    Source: the quantity that LeCun et al., "Optimal brain damage", 1989, set out to predict.

    >>> from pruneedu.models import mlp
    >>> model = mlp(1, 2)
    >>> state = {"fc1.weight": torch.tensor([[1.0], [0.0]]), "fc1.bias": torch.zeros(2)}
    >>> _ = model.load_state_dict(state)
    >>> loss_increase(model, Split(torch.ones(1, 1), torch.tensor([0])))
    {'fc1.weight': tensor([[0.3799],
            [0.0000]])}
    """
    increases = {}
    with eval_mode(model), torch.no_grad():
        before = cross_entropy(model(data.x), data.y)
        for name, weight in prunable(model).items():
            rises = []
            for index in range(weight.numel()):
                without = weight.clone()
                without.view(-1)[index] = 0
                logits = functional_call(model, {name: without}, (data.x,))
                rises.append(cross_entropy(logits, data.y) - before)
            increases[name] = torch.stack(rises).view(weight.shape)
    return increases


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    dense = [(mlp(3, 3), 6, 3), (mlp(4, 5, 3), 8, 4), (mlp(3, 4, 4, 3), 9, 3)]
    conv = [(small_cnn((2,), 3), 5, 1, 6, 6), (mnist1d_cnn(2, 3), 5, 40)]
    return [
        *(_case("fully connected layers", rng, *one) for one in dense),
        *(_case("convolutions and normalisation", rng, *one) for one in conv),
    ]


def _case(part, rng, model, examples, *shape):
    note = "the network has convolutions" if part.startswith("conv") else ""
    return Case(part, (calm(model, rng), random_split(rng, examples, *shape)), note=note)


def _measured(model, data, measure, change=None):
    """measure(loss without, loss with) for each weight; `change` says what goes with a weight."""
    change = change or (lambda weight, index: weight.view(-1)[index].zero_())
    with eval_mode(model), torch.no_grad():
        return _measured_as_it_is(model, data, measure, change)


def _measured_as_it_is(model, data, measure, change):
    before, found = cross_entropy(model(data.x), data.y), {}
    for name, weight in prunable(model).items():
        found[name] = torch.zeros_like(weight)
        for index in range(weight.numel()):
            kept = weight.clone()
            change(weight, index)
            found[name].view(-1)[index] = measure(cross_entropy(model(data.x), data.y), before)
            weight.copy_(kept)
    return found


def never_put_back(model, data):
    with eval_mode(model), torch.no_grad():
        before, found = cross_entropy(model(data.x), data.y), {}
        for name, weight in prunable(model).items():
            found[name] = torch.zeros_like(weight)
            for index in range(weight.numel()):
                value = weight.view(-1)[index]  # a view: it becomes 0 with the weight
                weight.view(-1)[index] = 0
                found[name].view(-1)[index] = cross_entropy(model(data.x), data.y) - before
                weight.view(-1)[index] = value
    return found


def reversed_difference(model, data):
    return _measured(model, data, lambda without, before: before - without)


def loss_itself(model, data):
    return _measured(model, data, lambda without, before: without)


def size_of_the_change(model, data):
    return _measured(model, data, lambda without, before: (without - before).abs())


def share_of_the_loss(model, data):
    return _measured(model, data, lambda without, before: (without - before) / before)


def whole_unit(model, data):
    def row(weight, index):
        weight.flatten(1)[index // weight[0].numel()] = 0

    return _measured(model, data, lambda without, before: without - before, row)


def sum_of_losses(model, data):
    return _measured(model, data, lambda without, before: (without - before) * len(data.x))


def training_mode(model, data):
    with torch.no_grad():
        return _measured_as_it_is(
            model,
            data,
            lambda without, before: without - before,
            lambda weight, index: weight.view(-1)[index].zero_(),
        )


def by_masks(model, data):
    with torch.no_grad(), eval_mode(model):
        before, found = cross_entropy(model(data.x), data.y), {}
        for name, weight in prunable(model).items():
            found[name] = torch.zeros_like(weight)
            for index in range(weight.numel()):
                keep = torch.ones(weight.numel(), dtype=torch.bool)
                keep[index] = False
                pruned = apply_masks(model, {name: keep.view(weight.shape)}).eval()
                found[name].view(-1)[index] = cross_entropy(pruned(data.x), data.y) - before
    return found


def all_at_once(model, data):
    with torch.no_grad(), eval_mode(model):
        before, found = cross_entropy(model(data.x), data.y), {}
        for name, weight in prunable(model).items():
            keep = ~torch.eye(weight.numel(), dtype=torch.bool)
            without = torch.where(keep, weight.flatten(), 0).view(-1, *weight.shape)

            def loss(one, name=name):
                return cross_entropy(functional_call(model, {name: one}, (data.x,)), data.y)

            found[name] = (vmap(loss)(without) - before).view(weight.shape)
    return found


EXERCISE = Exercise(
    reference=loss_increase,
    title="Take one weight away",
    minutes=15,
    cases=_cases,
    parts={"fully connected layers": 3, "convolutions and normalisation": 2},
    properties=(untouched(),),
    hints=(
        "For one weight: set it to zero, measure the loss, put it back. What do you compare with?",
        "Measure the loss once before the loop. In the loop work on a clone of the weight, or put "
        "back what you kept: `weight.view(-1)[i]` alone is a view, which turns 0 together with the "
        "weight. Do it under `torch.no_grad()` and in eval mode.",
        "For each name and weight of `pe.prunable(model)` and each `i in range(weight.numel())`: "
        "`without = weight.clone()`, `without.view(-1)[i] = 0`, and the loss of "
        "`torch.func.functional_call(model, {name: without}, (data.x,))`, less the loss before.",
    ),
    mistakes=(
        Mistake(
            never_put_back,
            "The weights are not put back, so each one is missed in a network that has already lost all "
            "those before it. Beware: `weight.view(-1)[i]` is a view, and turns 0 together with the "
            "weight. Keep a number (`.item()`) or work on a clone.",
        ),
        Mistake(
            reversed_difference,
            "The sign is reversed: this is the loss before less the loss without. A weight that is "
            "missed gets a low score here and would be the first to go.",
        ),
        Mistake(
            loss_itself,
            "This is the loss without the weight. How much it has *risen* is asked: subtract the loss "
            "before.",
        ),
        Mistake(
            size_of_the_change,
            "This is the size of the change. Some weights do harm, and without them the loss falls: the "
            "sign tells you which.",
        ),
        Mistake(
            share_of_the_loss,
            "This divides by the loss before. The formula is a difference, in the units of the loss.",
        ),
        Mistake(
            whole_unit,
            "This sets a whole row to zero, which is a unit with all its inputs. One weight alone is to "
            "go.",
        ),
        Mistake(
            sum_of_losses,
            "This is the rise of the sum over the examples. The loss is their mean, which does not grow "
            "with the number of examples.",
        ),
        Mistake(training_mode, TRAINING_MODE),
    ),
    alternatives=(by_masks, all_at_once),
    closes=(ablation, without_each),
)
