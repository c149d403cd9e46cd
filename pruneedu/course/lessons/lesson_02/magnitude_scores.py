"""Exercise: score each weight by its size."""

from torch import nn

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator, randomised
from pruneedu.models import lenet_300_100, mlp, mnist1d_cnn, small_cnn
from pruneedu.pruning.criteria import magnitude
from pruneedu.tensors import prunable


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    dense = [mlp(3, 2), mlp(6, 5, 3), mlp(4, 4, 4, 2), lenet_300_100(inputs=9, classes=2)]
    conv = [small_cnn((2, 3)), small_cnn((2, 4, 3), inputs=3), mnist1d_cnn(3)]
    return [
        *(Case("fully connected layers", (randomised(model, rng),)) for model in dense),
        *(
            Case("convolutions", (randomised(model, rng),), note="the network has convolutions")
            for model in conv
        ),
    ]


def signed(model):
    return {name: weight.detach().clone() for name, weight in prunable(model).items()}


def squared(model):
    return {name: weight.detach() ** 2 for name, weight in prunable(model).items()}


def every_parameter(model):
    return {name: p.detach().abs() for name, p in model.named_parameters()}


def weights_by_name(model):
    found = model.named_parameters()
    return {name: p.detach().abs() for name, p in found if name.endswith("weight")}


def layers_as_keys(model):
    return {name.removesuffix(".weight"): w.detach().abs() for name, w in prunable(model).items()}


def linear_only(model):
    layers = dict(model.named_modules()).items()
    return {f"{n}.weight": m.weight.abs() for n, m in layers if isinstance(m, nn.Linear)}


def scaled_per_layer(model):
    return {name: w.detach().abs() / w.detach().abs().max() for name, w in prunable(model).items()}


def in_place(model):
    return {name: weight.data.abs_() for name, weight in prunable(model).items()}


def by_module(model):
    scores = {}
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            scores[f"{name}.weight"] = module.weight.detach().abs()
    return scores


def by_root_of_square(model):
    return {name: weight.detach().square().sqrt() for name, weight in prunable(model).items()}


EXERCISE = Exercise(
    reference=magnitude,
    title="Score each weight by its size",
    minutes=5,
    cases=_cases,
    parts={"fully connected layers": 3, "convolutions": 2},
    properties=(untouched(),),
    hints=(
        "Which tensors of a network can be pruned? Print `pe.prunable(model)`.",
        "You need a dict with the same names, and for each weight how far it is from zero.",
        "`{name: … for name, weight in pe.prunable(model).items()}`, with `weight.detach().abs()`.",
    ),
    mistakes=(
        Mistake(
            signed,
            "These are the weights themselves. A weight of -3 speaks as loudly as one of 3, but here it "
            "ranks below a weight of 0. Its size is `abs()`.",
        ),
        Mistake(
            squared,
            "These are the squares. They put the weights in the same order, but the formula says |w|, and "
            "once scores are summed over a unit the order is no longer the same.",
        ),
        Mistake(
            every_parameter,
            "This scores biases too. They are few and they carry a lot: only what `prunable(model)` "
            "returns is up for pruning.",
        ),
        Mistake(
            weights_by_name,
            "This takes every parameter whose name ends in `weight`, and batch normalisation has one "
            "too. It scales a whole channel and is no connection: ask `prunable(model)`.",
        ),
        Mistake(
            layers_as_keys,
            "The keys are names of layers. A weight-level score is named like the parameter: "
            "`fc1.weight`, not `fc1`.",
        ),
        Mistake(
            linear_only,
            "Only the fully connected layers are scored. Convolutions have weights that can be pruned "
            "as well.",
        ),
        Mistake(
            scaled_per_layer,
            "Each layer is divided by its own largest weight. That is another criterion: it makes "
            "the layers equal, where plain magnitude lets them compete.",
        ),
        Mistake(
            in_place,
            "The scores are right, but `abs_()` with an underscore changes the weights themselves: "
            "the network has lost its signs. Use `abs()`.",
        ),
    ),
    alternatives=(by_module, by_root_of_square),
)
