"""Exercise: a criterion of one's own, judged by what the network can still do after the cut."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from pruneedu.course.exercises import Case, Difference, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator
from pruneedu.data import Split
from pruneedu.evaluation import evaluate
from pruneedu.models import mlp
from pruneedu.pruning.criteria import fisher, magnitude, sensitivity, taylor_units
from pruneedu.pruning.masks import apply_masks
from pruneedu.pruning.selection import keep_top
from pruneedu.tensors import Scores, per_unit, prunable_layers

SIZES, CLUSTERS, NETWORKS = (20, 20, 20, 5), 12, 5
PARTS = ("better than chance", "and on two more networks")
NEED, SOUND = 0.1, 0.3  # of the way from chance to the whole network: to pass; networks drawn


def own_criterion(model: nn.Module, data: Split) -> Scores:
    """Score each hidden unit of a fully connected network, your own way: high for what must stay.

    The check cuts half of the hidden units by your scores, all layers ranked together, and measures
    the accuracy on examples that you have not seen. On each of its networks you have to come at
    least a tenth of the way from chance to the whole network. Many answers are right.

    Args:
        model: layers fc1, fc2, … with ReLU between them; it must not change.
        data: x [N, inputs] and y [N], examples of its training.

    Returns:
        "fc1" -> [units], finite numbers, for each layer but the last. Scores of the last layer, the
        classes, may be there; they are not used.
    """
    scores = {}
    for (name, layer), (_, reader) in pairwise(prunable_layers(model).items()):
        # A unit owns a row of layer.weight [units, inputs]; who listens to it, a column of
        # reader.weight [readers, units]. Rewrite the loop if your idea needs something else.
        ### BEGIN SOLUTION
        heard, told = layer.weight.detach(), reader.weight.detach()
        scores[name] = heard.norm(dim=1) * told.norm(dim=0)
        ### END SOLUTION
    return scores


@dataclass(frozen=True)
class Trial(Case):
    """A case with what judges it and is never sent: held-out examples, and what chance reaches."""

    held: Split | None = None
    chance: float = 0.0


def _cases(seed: int) -> list[Case]:
    """Networks on which sound criteria are far above the bar, and idle ones below it."""
    rng = generator(seed)
    trials: list[Case] = []
    while len(trials) < NETWORKS:
        trial = _trial(rng, PARTS[len(trials) > 2])
        sound = [own_criterion, by_sizes, by_taylor, by_fisher, by_sensitivity]
        idle = [reversed_sizes, all_alike]
        if not trials:  # one network is enough to fail on; elsewhere these may be lucky
            idle += [by_chance, as_they_stand, signed_sums]
        fails = all(_reached(trial, way(*trial.args)) < NEED - 0.02 for way in idle)
        if fails and all(_reached(trial, way(*trial.args)) > SOUND for way in sound):
            trials.append(trial)
    return trials


def _trial(rng: torch.Generator, part: str) -> Trial:
    """A network trained on clusters, and what five random choices of its units reach on average."""
    centres = 1.6 * torch.randn(CLUSTERS, SIZES[0], generator=rng)
    cluster = torch.randint(CLUSTERS, (700,), generator=rng)
    x = centres[cluster] + torch.randn(700, SIZES[0], generator=rng)
    train, held = Split(x[:300], cluster[:300] % 5), Split(x[300:], cluster[300:] % 5)
    model = _trained(train, rng)
    luck = [
        _accuracy(
            model, {n: torch.rand(len(s), generator=rng) for n, s in _sizes(model).items()}, held
        )
        for _ in range(5)
    ]
    return Trial(part, (model, train), held=held, chance=sum(luck) / len(luck))


def _trained(data: Split, rng: torch.Generator) -> nn.Module:
    model = mlp(*SIZES)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(
                torch.randn(parameter.shape, generator=rng) / parameter.shape[-1] ** 0.5
            )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(90):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(data.x), data.y).backward()
        optimizer.step()
    model.zero_grad()
    return model


def _accuracy(model: nn.Module, scores: Scores, held: Split) -> float:
    return evaluate(apply_masks(model, keep_top(scores, 0.5)), held)


def _reached(trial: Trial, scores: Scores) -> float:
    """How far of the way from chance to the whole network the half that stays comes."""
    model = trial.args[0]
    whole = evaluate(model, trial.held)
    return (_accuracy(model, scores, trial.held) - trial.chance) / (whole - trial.chance)


def _accept(trial: Trial, expected: Scores, got) -> Difference | None:
    """Any scores by which the half that stays is clearly more accurate than a random half."""
    if type(got) is not dict:
        return Difference("the result", "a dict of scores", f"{got!r:.60}")
    for name, score in expected.items():
        found = got.get(name)
        if type(found) is not Tensor or found.shape != score.shape or found.is_complex():
            said = f"shape {tuple(found.shape)}" if type(found) is Tensor else f"{found!r:.40}"
            wanted = f"a tensor with a number for each unit, shape {tuple(score.shape)}"
            return Difference(f"the scores of {name!r}", wanted, said)
        if not found.isfinite().all():
            return Difference(f"the scores of {name!r}", "finite numbers", "NaN or infinity")
    scores = {name: got[name].float() for name in expected}
    reached = _reached(trial, scores)
    if reached >= NEED:
        return None
    return Difference(
        "the accuracy with half of the units",
        f"at least {100 * NEED:.0f} % of the way from chance to the whole network",
        f"{100 * reached:.0f} %",
    )


def _sizes(model):
    return dict(list(per_unit(magnitude(model), model, torch.mean).items())[:-1])


def by_sizes(model, data):
    """The mean size of a unit's weights; the last layer comes with it."""
    return per_unit(magnitude(model), model, torch.mean)


def by_taylor(model, data):
    return taylor_units(model, data)


def by_fisher(model, data):
    return per_unit(fisher(model, data), model)


def by_sensitivity(model, data):
    return per_unit(sensitivity(model, data), model)


def reversed_sizes(model, data):
    return {name: -score for name, score in _sizes(model).items()}


def all_alike(model, data):
    return {name: torch.ones_like(score) for name, score in _sizes(model).items()}


def by_chance(model, data):
    rng = generator(0)
    return {name: torch.rand(len(score), generator=rng) for name, score in _sizes(model).items()}


def as_they_stand(model, data):
    return {name: torch.arange(len(score)).float() for name, score in _sizes(model).items()}


def signed_sums(model, data):
    layers = list(prunable_layers(model).items())[:-1]
    return {name: layer.weight.detach().sum(1) for name, layer in layers}


def one_for_each_weight(model, data):
    return magnitude(model)


def one_for_each_input(model, data):
    layers = list(prunable_layers(model).items())[:-1]
    return {name: layer.weight.detach().abs().sum(0) for name, layer in layers}


def one_for_each_reader(model, data):
    pairs = pairwise(prunable_layers(model).items())
    return {name: reader.weight.detach().norm(dim=1) for (name, _), (_, reader) in pairs}


def divided_by_nothing(model, data):
    """Normalises by a spread that is 0: nan everywhere."""
    return {name: (s - s) / (s - s).std() for name, s in _sizes(model).items()}


def zeroed_in_place(model, data):
    scores = own_criterion(model, data)
    with torch.no_grad():
        for layer, reader in pairwise(prunable_layers(model).values()):
            layer.weight[0] = 0
            reader.weight[:, 0] = 0
    return scores


EXERCISE = Exercise(
    reference=own_criterion,
    title="Enter your own criterion",
    minutes=10,
    cases=_cases,
    parts=dict(zip(PARTS, (3, 2), strict=True)),
    properties=(untouched(),),
    accept=_accept,
    hints=(
        "When would you not miss a unit? When it says nothing, when it says always the same, or when "
        "nobody listens. Each of these is a number that you can compute.",
        "You know criteria from four lessons. Take one and mend what you found wrong with it, or "
        "multiply two that look at different sides of a unit. High means: keep.",
        "What comes in: the rows of the unit's own weight, `layer.weight.norm(dim=1)`. What goes out: "
        "the columns of the next layer's weight, `reader.weight.norm(dim=0)`. Their product is a good "
        "start: `scores[name] = layer.weight.detach().norm(dim=1) * reader.weight.detach().norm(dim=0)`.",
    ),
    mistakes=(
        Mistake(
            reversed_sizes,
            "It keeps the units with the smallest weights. A high score means: keep.",
        ),
        Mistake(
            all_alike,
            "All scores are equal, so there is no ranking: of equals the earlier stay, and the last "
            "layers go first.",
        ),
        Mistake(
            by_chance,
            "This draws the scores at random. That is the control, which you have to beat.",
        ),
        Mistake(
            as_they_stand,
            "The scores are the numbers of the units. Training has put them in no order.",
        ),
        Mistake(
            signed_sums,
            "The weights are summed with their signs. A unit with large weights of both signs then "
            "counts as little as one without any: take the sizes first.",
        ),
        Mistake(
            one_for_each_weight,
            "There is a score for each weight. Units are to go, so each needs one score: `pe.per_unit` "
            "turns the scores of weights into scores of units.",
        ),
        Mistake(
            one_for_each_input,
            "This sums over the units, which leaves one score for each *input* of the layer. A unit "
            "owns a row of the weight: sum over `dim=1`.",
        ),
        Mistake(
            one_for_each_reader,
            "This has one score for each unit of the *next* layer. Who listens to a unit stands in a "
            "column of the reader's weight: reduce over `dim=0`.",
        ),
        Mistake(
            divided_by_nothing,
            "A division by zero has made NaN of the scores, and NaN ranks nowhere. Look at the spread or "
            "the sum that you divide by.",
        ),
        Mistake(
            zeroed_in_place,
            "The scores are good, but the call has changed the network: it is no longer the one that "
            "you were to score. Work on a copy.",
        ),
    ),
    alternatives=(by_sizes, by_taylor, by_fisher, by_sensitivity),
)
