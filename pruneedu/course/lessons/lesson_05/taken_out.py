"""Exercise: the judge of the duel, what is lost without each unit."""

import torch

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.lesson_05.shared import network
from pruneedu.course.lessons.making import generator
from pruneedu.course.plain import Tool
from pruneedu.evaluation import accuracy, evaluate
from pruneedu.pruning.ablation import ablation, without_each
from pruneedu.pruning.masks import apply_masks
from pruneedu.pruning.passes import unit_modules
from pruneedu.tensors import prunable_layers

PARTS = {"units": 3, "convolutions and normalisation": 2, "another metric": 2}


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    units, conv, metric = PARTS
    likely, f1 = {"metric": Tool("log_likelihood", {})}, {"metric": Tool("macro_f1", {})}
    return [
        *(Case(units, network(rng, *sizes)) for sizes in ((4, 5, 3), (5, 6, 5, 3), (3, 8, 4))),
        *(
            Case(conv, network(rng, *channels, image=8), note="the network has batch normalisation")
            for channels in ((3, 3), (3, 4, 3))
        ),
        Case(metric, network(rng, 4, 6, 3), likely, "the performance is below 0"),
        Case(metric, network(rng, 4, 6, 3), f1, "the metric is macro F1"),
    ]


def _score(model, data, metric, share, drop):
    """share(P, P without) for each unit; drop(model, name, unit) is the network without it."""
    whole = float(evaluate(model, data, metric))
    return {
        name: torch.tensor(
            [
                share(whole, float(evaluate(drop(model, name, unit), data, metric)))
                for unit in range(len(layer.weight))
            ]
        )
        for name, layer in prunable_layers(model).items()
    }


def _masked(model, name, unit):
    keep = torch.ones(len(model.get_submodule(name).weight), dtype=torch.bool)
    keep[unit] = False
    return apply_masks(model, {name: keep})


def _share(whole, without):
    return (whole - without) / abs(whole)


def points(model, data, metric=accuracy, level="unit", batch_size=32):
    return _score(model, data, metric, lambda p, without: p - without, _masked)


def in_per_cent(model, data, metric=accuracy, level="unit", batch_size=32):
    return _score(model, data, metric, lambda p, w: 100 * _share(p, w), _masked)


def share_that_stays(model, data, metric=accuracy, level="unit", batch_size=32):
    return _score(model, data, metric, lambda p, w: w / abs(p), _masked)


def reversed_difference(model, data, metric=accuracy, level="unit", batch_size=32):
    return _score(model, data, metric, lambda p, w: (w - p) / abs(p), _masked)


def divided_by_what_is_left(model, data, metric=accuracy, level="unit", batch_size=32):
    def share(whole, without):
        return (whole - without) / abs(without) if without else float("inf")

    return _score(model, data, metric, share, _masked)


def sign_of_performance(model, data, metric=accuracy, level="unit", batch_size=32):
    return _score(model, data, metric, lambda p, w: (p - w) / p, _masked)


def all_the_others(model, data, metric=accuracy, level="unit", batch_size=32):
    def drop(model, name, unit):
        keep = torch.arange(len(model.get_submodule(name).weight)) == unit
        return apply_masks(model, {name: keep})

    return _score(model, data, metric, _share, drop)


def never_put_back(model, data, metric=accuracy, level="unit", batch_size=32):
    gone = [model]

    def drop(_, name, unit):
        gone.append(_masked(gone[-1], name, unit))
        return gone[-1]

    return _score(model, data, metric, _share, drop)


def one_mask_for_the_layer(model, data, metric=accuracy, level="unit", batch_size=32):
    def drop(model, name, unit):
        keep = torch.arange(len(model.get_submodule(name).weight)) > unit
        return apply_masks(model, {name: keep})

    return _score(model, data, metric, _share, drop)


def bias_still_speaks(model, data, metric=accuracy, level="unit", batch_size=32):
    def is_back(key):
        return not key.endswith("weight") or "bn" in key

    return _score(model, data, metric, _share, _all_but(is_back))


def normalisation_still_speaks(model, data, metric=accuracy, level="unit", batch_size=32):
    return _score(model, data, metric, _share, _all_but(lambda key: "bn" in key))


def _all_but(is_back):
    """Take out as `_masked` does, and put back the parameters and statistics of these names."""

    def drop(model, name, unit):
        without, whole = _masked(model, name, unit), model.state_dict()
        for key, value in without.state_dict().items():
            if is_back(key):
                value.copy_(whole[key])
        return without

    return drop


def training_mode(model, data, metric=accuracy, level="unit", batch_size=32):
    def performance(network):
        with torch.no_grad():
            return float(metric(network(data.x), data.y))

    whole = performance(model)
    return {
        name: torch.tensor(
            [_share(whole, performance(_masked(model, name, unit))) for unit in range(len(scores))]
        )
        for name, scores in ablation(model, data, metric).items()
    }


def last_layer_forgotten(model, data, metric=accuracy, level="unit", batch_size=32):
    return dict(list(ablation(model, data, metric).items())[:-1])


def metric_forgotten(model, data, metric=accuracy, level="unit", batch_size=32):
    return ablation(model, data)


def by_masks(model, data, metric=accuracy, level="unit", batch_size=32):
    return _score(model, data, metric, _share, _masked)


def by_hooks(model, data, metric=accuracy, level="unit", batch_size=32):
    whole, found = float(evaluate(model, data, metric)), {}
    for name, layer in prunable_layers(model).items():
        lost = []
        for unit in range(len(layer.weight)):

            def silence(module, inputs, output, unit=unit):
                output = output.clone()
                output[:, unit] = 0
                return output

            handle = unit_modules(model)[name].register_forward_hook(silence)
            lost.append(_share(whole, float(evaluate(model, data, metric))))
            handle.remove()
        found[name] = torch.tensor(lost)
    return found


EXERCISE = Exercise(
    reference=ablation,
    title="Take it out and measure",
    minutes=8,
    cases=_cases,
    parts=PARTS,
    properties=(untouched(),),
    hints=(
        "Take out one unit of a copy, measure, and compare with the whole network. For the next unit, "
        "start from the whole network again.",
        "A unit whose row of weights is 0 still says its bias, and what the normalisation adds. "
        "`pe.apply_masks` knows: a mask at unit level silences all of it. The formula divides by the "
        "performance of the *whole* network.",
        "For each name and layer of `prunable_layers(model).items()`, for each unit j: "
        "`keep = torch.ones(len(layer.weight), dtype=torch.bool)`, `keep[j] = False`, and the performance "
        "`pe.evaluate(pe.apply_masks(model, {name: keep}), data, metric)`. Make a tensor of the shares.",
    ),
    mistakes=(
        Mistake(
            points,
            "This is the difference P - P_without, in points. The formula has the share of the "
            "performance that is lost: divide by |P|.",
        ),
        Mistake(
            in_per_cent,
            "This is in per cent. The score is a share: 0.25, not 25.",
        ),
        Mistake(
            share_that_stays,
            "This is the share of the performance that stays. A unit that the network needs would get "
            "the lowest score and be the first to go.",
        ),
        Mistake(
            reversed_difference,
            "The sign is reversed: this is the performance without, less the whole. What the network "
            "needs would be the first to go.",
        ),
        Mistake(
            divided_by_what_is_left,
            "This divides by the performance *without* the unit, which is a different number for each. "
            "Divide by that of the whole network.",
        ),
        Mistake(
            sign_of_performance,
            "This divides by P where the formula has |P|. Where the performance is below 0, as a log "
            "likelihood is, all signs turn round.",
        ),
        Mistake(
            all_the_others,
            "The mask is turned round: True keeps. This takes out all the other units of the layer and "
            "leaves the one that it scores.",
        ),
        Mistake(
            never_put_back,
            "What was taken out is not put back: each unit is missed in a network that has already lost "
            "all those before it. Start from the whole network each time.",
        ),
        Mistake(
            one_mask_for_the_layer,
            "The mask still drops the units that were taken out before, so a unit is missed in a layer "
            "that has lost all those above it. Make a new mask for each unit.",
        ),
        Mistake(
            bias_still_speaks,
            "Only the weights are set to 0, so the unit still says its bias, to every example. Without "
            "a unit means: its output is 0. `pe.apply_masks` with a mask at unit level does that.",
        ),
        Mistake(
            normalisation_still_speaks,
            "The layer is silent, but the batch normalisation after it is not: it makes a number other "
            "than 0 of the zeros. Without a unit means: its output *after* the normalisation is 0.",
        ),
        Mistake(
            training_mode,
            "The network is in training mode, in which batch normalisation uses the mean and the spread "
            "of the batch at hand, and changes its own statistics. Measure in eval mode: "
            "`pe.evaluate` does.",
        ),
        Mistake(
            last_layer_forgotten,
            "The last layer is missing. Its units are the classes; they are scored as well, and who "
            "selects leaves them out.",
        ),
        Mistake(
            metric_forgotten,
            "It measures the accuracy, whatever `metric` it is handed. Pass it on to `pe.evaluate`.",
        ),
    ),
    alternatives=(by_masks, by_hooks),
    closes=(without_each,),
)
