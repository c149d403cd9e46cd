"""Exercise: the control, an accuracy for which no choice has seen the examples that judge it."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator
from pruneedu.course.plain import Tool
from pruneedu.course.tools import bind, largest_gaps, nearest_mean


def honest_accuracy(
    x: Tensor,
    y: Tensor,
    select: Callable[[Tensor, Tensor], list[int]],
    classify: Callable[[Tensor, Tensor, Tensor], Tensor],
    folds: int,
) -> float:
    """Return the accuracy of selecting inputs and classifying, each judged on held-out examples.

    Fold f holds out the examples f, f + folds, f + 2 · folds, … Inputs are selected and the
    classifier is trained on all others. Each example is held out once:

    accuracy = examples that are classified rightly while held out / examples

    Args:
        x: [N, inputs].
        y: [N] class numbers.
        select: (x, y) -> the numbers of the inputs to use.
        classify: (x of the training examples, their y, x to classify) -> class numbers.
        folds: how many, from 2 to N.

    Returns:
        A number in [0, 1].

    Source: Ambroise and McLachlan, "Selection bias in gene extraction", 2002.
    """
    fold_of, right = torch.arange(len(y)) % folds, 0
    for fold in range(folds):
        held = fold_of == fold  # [N] the examples that judge; ~held are all others
        ### BEGIN SOLUTION
        kept = select(x[~held], y[~held])
        answers = classify(x[~held][:, kept], y[~held], x[held][:, kept])
        right += int((answers == y[held]).sum())
        ### END SOLUTION
    return right / len(y)


def _cases(seed: int) -> list[Case]:
    """Noise with a little truth in it; only cases on which the mistakes show."""
    rng = generator(seed)
    random, uneven = "the labels are drawn at random", "the folds are not of one size"
    plan = (  # part, classes, how far they lie apart, examples, folds, inputs to select
        *(("noise", 2, 0.0, rows, 5, count, random) for rows, count in ((40, 5), (45, 3), (35, 8))),
        ("some truth", 2, 1.2, 40, 4, 4, ""),
        ("some truth", 2, 1.2, 33, 3, 2, ""),
        ("some truth", 2, 1.2, 31, 5, 7, ""),
        ("three classes", 3, 1.2, 40, 5, 6, "there are three classes"),
        ("three classes", 3, 1.0, 36, 4, 3, "there are three classes"),
        ("uneven folds", 2, 0.6, 23, 5, 6, uneven),
        ("uneven folds", 2, 0.6, 17, 3, 3, uneven),
    )
    means, nearest = Tool("nearest_mean", {}), Tool("nearest_example", {})
    cases: list[Case] = []
    while len(cases) < len(plan):
        part, classes, shift, rows, folds, count, note = plan[len(cases)]
        y = torch.randint(0, classes, (rows,), generator=rng)
        x = torch.randn(rows, 60, generator=rng)
        x[:, :3] += shift * y[:, None]
        classify = nearest if len(cases) % 2 else means
        case = Case(
            part, (x, y, Tool("largest_gaps", {"count": count}), classify, folds), note=note
        )
        live = _live(case)
        wrong = [selected_on_all, judged_on_training, neighbouring_folds]
        wrong += [mean_of_folds] if part == "uneven folds" else []
        wrong += [distance_of_numbers] if part == "three classes" else []
        wrong += [always_five] if count != 5 else []
        wrong += [always_by_means] if classify is nearest else []
        right = honest_accuracy(*live)
        if right and all(abs(way(*live) - right) > 0.005 for way in wrong):
            cases.append(case)
    return cases


def _live(case: Case) -> tuple:
    return tuple(bind(a.name, **a.options) if isinstance(a, Tool) else a for a in case.args)


def _crossed(x, y, select, classify, folds, fold_of=None, shares=False):
    """A cross-validation with holes: `select` gets everything, and says what it does with it."""
    fold_of = torch.arange(len(y)) % folds if fold_of is None else fold_of
    rows = []
    for held in (fold_of == fold for fold in range(folds)):
        kept = select(held)
        answers = classify(held, kept)
        rows.append((answers == y[held]).double())
    return (sum(r.mean() for r in rows) / folds if shares else torch.cat(rows).mean()).item()


def selected_on_all(x, y, select, classify, folds):
    kept = select(x, y)
    return honest_accuracy(x[:, kept], y, lambda x, y: list(range(len(kept))), classify, folds)


def selected_on_held(x, y, select, classify, folds):
    return _crossed(
        x,
        y,
        lambda held: select(x[held], y[held]),
        lambda held, kept: classify(x[~held][:, kept], y[~held], x[held][:, kept]),
        folds,
    )


def trained_on_all(x, y, select, classify, folds):
    return _crossed(
        x,
        y,
        lambda held: select(x[~held], y[~held]),
        lambda held, kept: classify(x[:, kept], y, x[held][:, kept]),
        folds,
    )


def judged_on_training(x, y, select, classify, folds):
    right = total = 0
    for fold in range(folds):
        train = torch.arange(len(y)) % folds != fold
        kept = select(x[train], y[train])
        answers = classify(x[train][:, kept], y[train], x[train][:, kept])
        right, total = right + int((answers == y[train]).sum()), total + int(train.sum())
    return right / total


def trained_on_the_fold(x, y, select, classify, folds):
    right = total = 0
    for fold in range(folds):
        train = torch.arange(len(y)) % folds == fold
        kept = select(x[train], y[train])
        answers = classify(x[train][:, kept], y[train], x[~train][:, kept])
        right, total = right + int((answers == y[~train]).sum()), total + int((~train).sum())
    return right / total


def _inside(x, y, select, classify, folds, **how):
    return _crossed(
        x,
        y,
        lambda held: select(x[~held], y[~held]),
        lambda held, kept: classify(x[~held][:, kept], y[~held], x[held][:, kept]),
        folds,
        **how,
    )


def neighbouring_folds(x, y, select, classify, folds):
    return _inside(x, y, select, classify, folds, fold_of=torch.arange(len(y)) * folds // len(y))


def mean_of_folds(x, y, select, classify, folds):
    return _inside(x, y, select, classify, folds, shares=True)


def distance_of_numbers(x, y, select, classify, folds):
    off = 0
    for held in (torch.arange(len(y)) % folds == fold for fold in range(folds)):
        kept = select(x[~held], y[~held])
        answers = classify(x[~held][:, kept], y[~held], x[held][:, kept])
        off += int((answers - y[held]).abs().sum())
    return 1 - off / len(y)


def always_five(x, y, select, classify, folds):
    return honest_accuracy(x, y, partial(largest_gaps, count=5), classify, folds)


def always_by_means(x, y, select, classify, folds):
    return honest_accuracy(x, y, select, nearest_mean, folds)


def one_fold_only(x, y, select, classify, folds):
    held = torch.arange(len(y)) % folds == 0
    kept = select(x[~held], y[~held])
    answers = classify(x[~held][:, kept], y[~held], x[held][:, kept])
    return (answers == y[held]).double().mean().item()


def by_slices(x, y, select, classify, folds):
    answers = torch.empty_like(y)
    for fold in range(folds):
        others = [i for i in range(len(y)) if i % folds != fold]
        kept = select(x[others], y[others])
        answers[fold::folds] = classify(x[others][:, kept], y[others], x[fold::folds][:, kept])
    return (answers == y).double().mean().item()


EXERCISE = Exercise(
    reference=honest_accuracy,
    title="Selection inside the loop",
    minutes=6,
    cases=_cases,
    parts={
        "noise": 3,
        "some truth": 2,
        "three classes": 1,
        "uneven folds": 1,
    },
    properties=(untouched(),),
    hints=(
        "Everything that looks at labels is training: the choice of inputs as well as the classifier.",
        "Select first, then classify, both with the rows that are not held out: `x[~held]`, `y[~held]`. "
        "Those that are held out are only classified, by the inputs that were kept.",
        "`kept = select(x[~held], y[~held])`, "
        "`answers = classify(x[~held][:, kept], y[~held], x[held][:, kept])`. Add to `right` "
        "how many of them equal `y[held]`.",
    ),
    mistakes=(
        Mistake(
            selected_on_all,
            "The inputs are chosen on all examples, before the split: the choice has seen the labels of "
            "those who judge it. On pure noise this reports a good accuracy.",
        ),
        Mistake(
            selected_on_held,
            "The inputs are chosen on the very examples that judge them. `~held` are the others.",
        ),
        Mistake(
            trained_on_all,
            "The selection is honest, but the classifier is trained on all examples, those that judge "
            "it among them.",
        ),
        Mistake(
            judged_on_training,
            "It classifies the examples that it was trained on. Those that were held out are the judges.",
        ),
        Mistake(
            trained_on_the_fold,
            "It trains on one fold and judges with all the others. It is the other way round.",
        ),
        Mistake(
            neighbouring_folds,
            "These folds are blocks of neighbours. Fold f holds out f, f + folds, f + 2 · folds, …",
        ),
        Mistake(
            mean_of_folds,
            "This is the mean of the folds' accuracies: in a small fold an example counts more. Count "
            "over all examples.",
        ),
        Mistake(
            distance_of_numbers,
            "It adds up how far the numbers of the classes lie apart. With two classes that counts what "
            "is wrong, with more it does not: 0 taken for 2 is one error. Count `answers == y`.",
        ),
        Mistake(
            always_five,
            "It selects by `largest_gaps(count=5)`, whatever it is handed. Call `select`: how many "
            "inputs it keeps is its business.",
        ),
        Mistake(
            always_by_means,
            "It classifies by `nearest_mean`, whatever it is handed. Call `classify`: how it decides is its "
            "business.",
        ),
        Mistake(one_fold_only, "Only the first fold judges. Each example should, once."),
    ),
    alternatives=(by_slices,),
)
