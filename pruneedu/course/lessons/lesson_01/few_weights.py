"""Exercise: predict with few weights, by any means: an open task, judged by measurement."""

import itertools

import torch
from torch import Tensor

from pruneedu.course.exercises import Case, Difference, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator

ROWS, COLUMNS, KEPT = 40, 9, 3
ALLOWED = 1.1  # of the least error that so many weights can reach


def sparse_fit(x: Tensor, y: Tensor, nonzeros: int) -> Tensor:
    """Find few weights that predict y from x.

    minimise mean_i (x_i · w - y_i)² over all w of which at most `nonzeros` are not zero

    Args:
        x: [n, d] inputs; each column has mean 0 and standard deviation 1, and they are correlated.
        y: [n] targets with mean 0.
        nonzeros: how many weights may be different from zero, 1 to d.

    Returns:
        w [d]. Many answers are right: the check asks that at most `nonzeros` entries are not
        exactly zero, and that the error above is at most 1.1 times the least possible.
    """
    kept = list(range(x.shape[1]))
    while True:
        w = torch.zeros(x.shape[1])
        w[kept] = torch.linalg.lstsq(x[:, kept], y).solution
        if len(kept) <= nonzeros:
            return w
        kept.remove(min(kept, key=lambda column: w[column].abs()))


def _cases(seed: int) -> list[Case]:
    """Two inputs resemble the one that matters most, and do not matter themselves.

    Only cases that tell answers apart: the sensible ways are right on each, the mistakes wrong.
    """
    rng = generator(seed)
    right = (sparse_fit, by_one_cut_then_refit, by_forward_steps, by_l1_then_refit)
    wrong = (cut_not_refitted, most_correlated, l1_not_refitted)
    cases: list[Case] = []
    while len(cases) < 6:
        args = (*_draw(rng), KEPT)
        case, best = Case("few weights, small error", args), by_trying_all(*args)
        told_apart = all(_accept(case, best, way(*args)) for way in wrong)
        if told_apart and not any(_accept(case, best, way(*args)) for way in right):
            cases.append(case)
    return cases


def _draw(rng: torch.Generator) -> tuple[Tensor, Tensor]:
    x = torch.randn(ROWS, COLUMNS, generator=rng)
    order = torch.randperm(COLUMNS, generator=rng)
    used, decoys = order[:KEPT], order[KEPT : KEPT + 2]
    x[:, decoys] = x[:, used[:1]] + 0.4 * x[:, decoys]
    x = (x - x.mean(0)) / x.std(0)
    w = torch.zeros(COLUMNS)
    w[used] = torch.tensor([2.0, 1.2, -0.9]) * (0.9 + 0.2 * torch.rand(KEPT, generator=rng))
    y = x @ w + 0.6 * torch.randn(ROWS, generator=rng)
    return x, y - y.mean()


def _error(x: Tensor, y: Tensor, w: Tensor) -> float:
    return (x @ w - y).square().mean().item()


def _accept(case: Case, expected: Tensor, got) -> Difference | None:
    """Any weights that are few enough and predict nearly as well as so few can."""
    x, y, nonzeros = case.args
    if type(got) is not Tensor or got.shape != expected.shape or not got.is_floating_point():
        return Difference("the result", f"a float tensor [{x.shape[1]}]", f"{got!r:.60}")
    if not got.isfinite().all():
        return Difference("the result", "finite numbers", "nan or infinity")
    kept = got.nonzero().flatten().tolist()
    if len(kept) > nonzeros:
        return Difference("the weights", f"at most {nonzeros} that are not zero", str(len(kept)))
    error, least = _error(x, y, got.float()), _error(x, y, expected)
    if error <= ALLOWED * least:
        return None
    again = (
        f"; the same {len(kept)} inputs, fitted alone, give {_error(x, y, _refit(x, y, kept)):.3f}"
    )
    limit = f"at most {ALLOWED * least:.3f} (the least is {least:.3f})"
    return Difference("the mean squared error", limit, f"{error:.3f}{again if kept else ''}")


def _refit(x, y, kept):
    w = torch.zeros(x.shape[1])
    w[kept] = torch.linalg.lstsq(x[:, kept], y).solution
    return w


def _largest(w, nonzeros):
    return w.abs().argsort(descending=True)[:nonzeros].tolist()


def _l1_path(x, y, nonzeros):
    """Proximal gradient descent, with the penalty lowered until so many weights are not zero."""
    rate = 1 / torch.linalg.matrix_norm(x.T @ x / len(y), ord=2)
    w = torch.zeros(x.shape[1])
    strength = (x.T @ y / len(y)).abs().max()
    while True:
        before = w
        for _ in range(30):
            w = w - rate * x.T @ (x @ w - y) / len(y)
            w = w.sign() * (w.abs() - rate * strength).clamp(min=0)
        if w.count_nonzero() > nonzeros:
            return before
        strength = 0.85 * strength


def dense(x, y, nonzeros):
    return _refit(x, y, list(range(x.shape[1])))


def cut_not_refitted(x, y, nonzeros):
    w = dense(x, y, nonzeros)
    kept = _largest(w, nonzeros)
    return torch.zeros_like(w).index_copy(0, torch.tensor(kept), w[kept])


def l1_not_refitted(x, y, nonzeros):
    return _l1_path(x, y, nonzeros)


def most_correlated(x, y, nonzeros):
    return _refit(x, y, _largest(x.T @ y, nonzeros))


def zeros_counted(x, y, nonzeros):
    return sparse_fit(x, y, x.shape[1] - nonzeros)


def smallest_kept(x, y, nonzeros):
    return _refit(x, y, _largest(-1 / dense(x, y, nonzeros), nonzeros))


def by_trying_all(x, y, nonzeros):
    choices = itertools.combinations(range(x.shape[1]), nonzeros)
    return min((_refit(x, y, list(kept)) for kept in choices), key=lambda w: _error(x, y, w))


def by_forward_steps(x, y, nonzeros):
    kept = []
    for _ in range(nonzeros):
        left = [column for column in range(x.shape[1]) if column not in kept]
        kept.append(min(left, key=lambda column: _error(x, y, _refit(x, y, [*kept, column]))))
    return _refit(x, y, kept)


def by_l1_then_refit(x, y, nonzeros):
    return _refit(x, y, _l1_path(x, y, nonzeros).nonzero().flatten().tolist())


def by_one_cut_then_refit(x, y, nonzeros):
    return _refit(x, y, _largest(dense(x, y, nonzeros), nonzeros))


EXERCISE = Exercise(
    reference=sparse_fit,
    title="Few weights, by any means",
    minutes=12,
    cases=_cases,
    parts={"few weights, small error": 5},
    properties=(untouched(),),
    accept=_accept,
    hints=(
        "There are two questions: which inputs may stay, and what are their weights? Whatever answers "
        "the first, answer the second afresh.",
        "With `kept` a list of columns, `torch.linalg.lstsq(x[:, kept], y).solution` are the best "
        "weights for these columns alone. To choose them: drop the smallest weight, fit again, and so "
        "on; or let proximal steps do it; or try all.",
        "Start with all columns in `kept`. Fit; while there are more than `nonzeros`, take out the "
        "column with the smallest absolute weight and fit again. Put the last weights into "
        "`torch.zeros(x.shape[1])` at the places in `kept`.",
    ),
    mistakes=(
        Mistake(
            dense,
            "This is the least error of all, with all the weights. At most `nonzeros` may be different "
            "from zero.",
        ),
        Mistake(
            cut_not_refitted,
            "The right weights may have stayed, but they are those of a team that is no longer "
            "complete: fit the ones that stay again.",
        ),
        Mistake(
            l1_not_refitted,
            "The penalty has found the inputs, and it has shortened their weights as well. Fit these "
            "inputs again without it.",
        ),
        Mistake(
            most_correlated,
            "These inputs resemble y most, each for itself. One of them resembles the others and adds "
            "nothing to them: choose the inputs together.",
        ),
        Mistake(
            zeros_counted,
            "So many weights are zero. The number asked for is the number that may stay.",
        ),
        Mistake(smallest_kept, "The inputs with the smallest weights stay, and the others go."),
    ),
    alternatives=(by_trying_all, by_forward_steps, by_l1_then_refit, by_one_cut_then_refit),
)
