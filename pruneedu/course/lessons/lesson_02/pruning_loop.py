"""Exercise: prune, fine-tune, prune again."""

import torch

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator, randomised
from pruneedu.course.plain import Tool
from pruneedu.models import mlp
from pruneedu.pruning.masks import apply_masks, apply_masks_
from pruneedu.pruning.schedules import prune_iteratively
from pruneedu.pruning.selection import keep_top


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    magnitude, signed = Tool("magnitude", {}), Tool("signed", {})

    def case(part, sparsities, criterion=magnitude, note="", **kwargs):
        x = torch.randn(12, 5, generator=rng)
        y = torch.randint(3, (12,), generator=rng)
        finetune = Tool("sgd_steps", {"x": x, "y": y, "steps": 3, "lr": 0.1})
        model = randomised(mlp(5, 6, 3), rng)
        return Case(part, (model, criterion, sparsities, finetune), kwargs, note)

    return [
        case("one cut", [0.5]),
        case("one cut", [0.8]),
        case("several rounds", [0.3, 0.6]),
        case("several rounds", [0.2, 0.4, 0.6, 0.8]),
        case("several rounds", [0.5, 0.5], note="two rounds have the same target"),
        case("dropped stays dropped", [0.3, 0.5], signed, "dropped weights do not score lowest"),
        case(
            "dropped stays dropped", [0.2, 0.4, 0.5], signed, "dropped weights do not score lowest"
        ),
        case("each layer alone", [0.4, 0.7], scope="layer"),
        case("bad input is refused", [0.6, 0.3], note="the targets fall"),
        case("bad input is refused", [], note="there is no target"),
    ]


def _no_mask(_model):
    """An `after_step` that does nothing."""


def _loop(model, criterion, sparsities, finetune, scope, **change):
    """The loop with one thing changed: which model is scored, the masks, the step, the target."""
    original, masks = model, None
    for target in sparsities:
        left = 1.0 if masks is None else _share_kept(masks)
        target = 1 - left * (1 - target) if change.get("compound") else target
        scored = original if change.get("score_original") else model
        masks = keep_top(criterion(scored), target, scope, None if change.get("forget") else masks)
        model = apply_masks(model, masks)
        after = _no_mask if change.get("unmasked") else lambda m, now=masks: apply_masks_(m, now)
        model = finetune(model, after)
    return model, masks


def _share_kept(masks):
    return sum(int(m.sum()) for m in masks.values()) / sum(m.numel() for m in masks.values())


def weights_revive(model, criterion, sparsities, finetune, scope="global"):
    return _loop(model, criterion, sparsities, finetune, scope, unmasked=True)


def original_scored(model, criterion, sparsities, finetune, scope="global"):
    return _loop(model, criterion, sparsities, finetune, scope, score_original=True)


def masks_forgotten(model, criterion, sparsities, finetune, scope="global"):
    return _loop(model, criterion, sparsities, finetune, scope, forget=True)


def of_what_is_left(model, criterion, sparsities, finetune, scope="global"):
    return _loop(model, criterion, sparsities, finetune, scope, compound=True)


def never_finetuned(model, criterion, sparsities, finetune, scope="global"):
    return _loop(model, criterion, sparsities, lambda m, _after: m, scope)


def finetuned_before_the_cut(model, criterion, sparsities, finetune, scope="global"):
    masks = None
    for target in sparsities:
        model = finetune(
            model, _no_mask if masks is None else lambda m, now=masks: apply_masks_(m, now)
        )
        masks = keep_top(criterion(model), target, scope, masks)
        model = apply_masks(model, masks)
    return model, masks


def last_target_only(model, criterion, sparsities, finetune, scope="global"):
    return _loop(model, criterion, sparsities[-1:], finetune, scope)


def input_cut(model, criterion, sparsities, finetune, scope="global"):
    masks = None
    for target in sparsities:
        masks = keep_top(criterion(model), target, scope, masks)
        apply_masks_(model, masks)
        model = finetune(model, lambda m, now=masks: apply_masks_(m, now))
    return model, masks


def by_recursion(model, criterion, sparsities, finetune, scope="global", masks=None):
    if not sparsities or list(sparsities) != sorted(sparsities):
        raise ValueError("give targets that rise")
    now = keep_top(criterion(model), sparsities[0], scope, masks)
    tuned = finetune(apply_masks(model, now), lambda m: apply_masks_(m, now))
    if len(sparsities) == 1:
        return tuned, now
    return by_recursion(tuned, criterion, sparsities[1:], finetune, scope, now)


EXERCISE = Exercise(
    reference=prune_iteratively,
    title="Prune, fine-tune, prune again",
    minutes=15,
    cases=_cases,
    parts={
        "one cut": 2,
        "several rounds": 3,
        "dropped stays dropped": 1,
        "each layer alone": 1,
        "bad input is refused": 1,
    },
    properties=(untouched(),),
    hints=(
        "One round has three lines: choose the masks, apply them, fine-tune. Which model is scored in "
        "the second round?",
        "Each target is a share of all weights, and `keep_top(…, masks=masks)` keeps what is gone gone. "
        "Momentum revives dropped weights unless `after_step` applies the masks after each step.",
        "In the loop: `masks = keep_top(criterion(model), sparsity, scope=scope, masks=masks)`, then "
        "`model = apply_masks(model, masks)`, then "
        "`model = finetune(model, partial(apply_masks_, masks=masks))`. Refuse falling or missing "
        "targets with a ValueError.",
    ),
    mistakes=(
        Mistake(
            weights_revive,
            "The weights that were cut are back: momentum and the gradient move them during "
            "fine-tuning. `after_step` must apply the masks again after each step.",
        ),
        Mistake(
            original_scored,
            "Each round scores the network as it was at the start. What fine-tuning taught it is "
            "ignored; score the current one.",
        ),
        Mistake(
            masks_forgotten,
            "A round forgets what the earlier ones dropped: with a criterion for which 0 is not the "
            "lowest score, dropped weights come back. Hand `masks` on to `keep_top`.",
        ),
        Mistake(
            of_what_is_left,
            "Each target is applied to what is left, so 0.3 and then 0.6 drop 72 %. The targets are "
            "shares of all weights.",
        ),
        Mistake(
            never_finetuned,
            "It cuts and never fine-tunes: `finetune` is not called after a cut.",
        ),
        Mistake(
            finetuned_before_the_cut,
            "It fine-tunes before each cut and not after it, so the last cut is never repaired.",
        ),
        Mistake(
            last_target_only,
            "It makes one cut to the last target. The earlier rounds, and the repair between them, are "
            "missing.",
        ),
        Mistake(
            input_cut,
            "The result is right, but the first round cuts the network that was handed in. Use "
            "`apply_masks`, without underscore, which works on a copy.",
        ),
    ),
    alternatives=(by_recursion,),
)
