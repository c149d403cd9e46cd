"""Exercise: from scores to masks that drop exactly as many weights as asked."""

import torch

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator, scores, uniform
from pruneedu.pruning.selection import keep_top

_SHAPES = ((4, 5), (3, 4), (2, 3))
PARTS = {
    "one ranking over all layers": 3,
    "each layer alone": 2,
    "exactly k": 2,
    "a sparsity for each layer": 1,
    "earlier masks": 1,
    "bad input is refused": 1,
}


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    return [
        *(
            Case("one ranking over all layers", (scores(rng, *_SHAPES), s))
            for s in (0.5, 0.8, 0.21)
        ),
        *(Case("each layer alone", (scores(rng, *_SHAPES), s, "layer")) for s in (0.5, 0.8)),
        *_exact(rng),
        *_by_layer(rng),
        *_after_masks(rng),
        *_refused(rng),
    ]


def _exact(rng: torch.Generator) -> list[Case]:
    tied = {"fc1.weight": torch.randint(1, 4, (4, 5), generator=rng).float()}
    return [
        Case("exactly k", (tied, 0.3), note="several scores are equal"),
        Case("exactly k", (tied, 0.65, "layer"), note="several scores are equal"),
        Case("exactly k", ({"fc1.weight": torch.ones(3, 2)}, 0.5), note="all scores are equal"),
        Case("exactly k", (scores(rng, (3, 5), (2, 2)), 0.25), note="0.25 · 19 = 4.75"),
        Case("exactly k", (scores(rng, (2, 5)), 0.0), note="nothing is to go"),
        Case("exactly k", (scores(rng, (2, 5)), 1.0), note="everything is to go"),
    ]


def _by_layer(rng: torch.Generator) -> list[Case]:
    made = [scores(rng, *_SHAPES) for _ in range(2)]
    wanted = [{name: uniform(rng, 0.1, 0.9) for name in one} for one in made]
    rows = zip(made, wanted, strict=True)
    return [Case("a sparsity for each layer", row, note="sparsity is a dict") for row in rows]


def _after_masks(rng: torch.Generator) -> list[Case]:
    """Earlier masks that dropped the best scores: whoever ignores them brings those back."""
    made = [scores(rng, *_SHAPES) for _ in range(2)]
    masks = [{name: s < s.median() for name, s in one.items()} for one in made]
    note = "earlier masks are given"
    return [
        Case("earlier masks", (made[0], 0.8), {"masks": masks[0]}, note),
        Case("earlier masks", (made[1], 0.7, "layer"), {"masks": masks[1]}, note),
    ]


def _refused(rng: torch.Generator) -> list[Case]:
    good, broken = scores(rng, (2, 3)), {"fc1.weight": torch.tensor([[1.0, float("nan")]])}
    return [
        Case("bad input is refused", (good, 1.5), note="sparsity is 1.5"),
        Case("bad input is refused", (good, 0.5, "row"), note="scope is 'row'"),
        Case("bad input is refused", (broken, 0.5), note="a score is nan"),
    ]


def _explain(case: Case, expected: dict, got: dict) -> str:
    """Show the first entry that is wrong with its score and its rank."""
    all_scores = torch.cat([s.flatten() for s in case.args[0].values()])
    kept, wanted = (sum(int(m.sum()) for m in masks.values()) for masks in (got, expected))
    count = f"It keeps {kept} of {all_scores.numel()} weights, "
    count += "as asked, but not the right ones." if kept == wanted else f"{wanted} are asked for."
    for name, mask in expected.items():
        for index in (mask != got[name]).nonzero().tolist()[:1]:
            score = case.args[0][name][tuple(index)]
            rank = int((all_scores > score).sum()) + 1
            does = "drops" if mask[tuple(index)] else "keeps"
            place = f"`{name}[{', '.join(map(str, index))}]`"
            return (
                f"{count} At {place} the score is {score:g} (rank {rank}) and your mask {does} it."
            )
    return count


def _variant(score_map, sparsity, scope, masks, select):
    """A wrong `keep_top` whose selection on one flat tensor is `select(flat, sparsity)`."""
    if masks is not None:
        score_map = {n: s.masked_fill(~masks[n], -torch.inf) for n, s in score_map.items()}
    if isinstance(sparsity, dict) or scope == "layer":
        share = sparsity if isinstance(sparsity, dict) else dict.fromkeys(score_map, sparsity)
        return {n: select(s.flatten(), share[n]).view(s.shape) for n, s in score_map.items()}
    flat = select(torch.cat([s.flatten() for s in score_map.values()]), sparsity)
    parts = flat.split([s.numel() for s in score_map.values()])
    return {n: p.view(s.shape) for (n, s), p in zip(score_map.items(), parts, strict=True)}


def _first_k_dropped(order, k):
    keep = torch.ones(len(order), dtype=torch.bool)
    keep[order[:k]] = False
    return keep


def _ascending(flat):
    """From the first to go to the last: low scores first, among equals the later entry first."""
    return flat.argsort(descending=True, stable=True).flip(0)


def _k(flat, sparsity):
    return round(sparsity * len(flat))


def reversed_ranking(scores, sparsity, scope="global", masks=None):
    return _variant(
        scores,
        sparsity,
        scope,
        masks,
        lambda f, s: _first_k_dropped(_ascending(f).flip(0), _k(f, s)),
    )


def share_kept(scores, sparsity, scope="global", masks=None):
    return _variant(
        scores,
        sparsity,
        scope,
        masks,
        lambda f, s: _first_k_dropped(_ascending(f), len(f) - _k(f, s)),
    )


def rounded_down(scores, sparsity, scope="global", masks=None):
    return _variant(
        scores,
        sparsity,
        scope,
        masks,
        lambda f, s: _first_k_dropped(_ascending(f), int(s * len(f))),
    )


def earlier_tie_dropped(scores, sparsity, scope="global", masks=None):
    return _variant(
        scores,
        sparsity,
        scope,
        masks,
        lambda f, s: _first_k_dropped(f.argsort(stable=True), _k(f, s)),
    )


def threshold_above(scores, sparsity, scope="global", masks=None):
    def select(flat, share):
        k = _k(flat, share)
        return flat > flat.kthvalue(k).values if k else torch.ones_like(flat, dtype=torch.bool)

    return _variant(scores, sparsity, scope, masks, select)


def threshold_at_least(scores, sparsity, scope="global", masks=None):
    def select(flat, share):
        k = _k(flat, share)
        if k == len(flat):
            return torch.zeros_like(flat, dtype=torch.bool)
        return flat >= flat.kthvalue(k + 1).values

    return _variant(scores, sparsity, scope, masks, select)


def always_per_layer(scores, sparsity, scope="global", masks=None):
    return _variant(
        scores, sparsity, "layer", masks, lambda f, s: _first_k_dropped(_ascending(f), _k(f, s))
    )


def always_global(scores, sparsity, scope="global", masks=None):
    return _variant(
        scores, sparsity, "global", masks, lambda f, s: _first_k_dropped(_ascending(f), _k(f, s))
    )


def masks_forgotten(scores, sparsity, scope="global", masks=None):
    return keep_top(scores, sparsity, scope)


def floats_as_masks(scores, sparsity, scope="global", masks=None):
    return {name: keep.float() for name, keep in keep_top(scores, sparsity, scope, masks).items()}


def by_argsort(scores, sparsity, scope="global", masks=None):
    return _checked(
        scores, sparsity, scope, masks, lambda f, s: _first_k_dropped(_ascending(f), _k(f, s))
    )


def by_python_sort(scores, sparsity, scope="global", masks=None):
    def select(flat, share):
        order = sorted(range(len(flat)), key=lambda i: (-flat[i].item(), i))
        keep = torch.zeros(len(flat), dtype=torch.bool)
        keep[order[: len(flat) - _k(flat, share)]] = True
        return keep

    return _checked(scores, sparsity, scope, masks, select)


def _checked(scores, sparsity, scope, masks, select):
    """`_variant` that refuses what `keep_top` refuses."""
    shares = sparsity.values() if isinstance(sparsity, dict) else [sparsity]
    bad = any(not 0 <= s <= 1 for s in shares) or scope not in ("global", "layer")
    if bad or any(not s.isfinite().all() for s in scores.values()):
        raise ValueError("sparsity in [0, 1], scope 'global' or 'layer', finite scores, please")
    return _variant(scores, sparsity, scope, masks, select)


EXERCISE = Exercise(
    reference=keep_top,
    title="Keep the highest scores, drop exactly k",
    minutes=20,
    cases=_cases,
    parts=PARTS,
    properties=(untouched(),),
    explain=_explain,
    hints=(
        "Start with one flat tensor: which end of the sorted list do you cut, and after how many entries?",
        "Count, do not compare: `k = round(sparsity · n)` entries go. A threshold compared with `<` or "
        "`<=` drops the wrong number when scores are equal. `argsort(descending=True, stable=True)` "
        "leaves equal scores in their order.",
        "Flatten and join all layers, sort stably, set the first n - k places of the order to True, then "
        "split and reshape. One layer alone is the same on a dict with one entry; earlier masks become "
        "`score.masked_fill(~mask, -torch.inf)`.",
    ),
    mistakes=(
        Mistake(
            reversed_ranking,
            "It keeps the smallest. This is what `argsort` without `descending=True` gives when you keep "
            "the front of the list.",
        ),
        Mistake(
            share_kept,
            "`sparsity` is the fraction that goes, and this uses it as the fraction that stays.",
        ),
        Mistake(
            rounded_down,
            "`int()` cuts the decimals off: 4.75 becomes 4. The formula rounds to the nearest number.",
        ),
        Mistake(
            earlier_tie_dropped,
            "Of two equal scores this keeps the later entry; the promise is that the earlier one stays.",
        ),
        Mistake(
            threshold_above,
            "`score > threshold` drops everything that equals the threshold: with equal scores more "
            "goes than was asked for.",
        ),
        Mistake(
            threshold_at_least,
            "`score >= threshold` keeps everything that equals the threshold: with equal scores less "
            "goes than was asked for.",
        ),
        Mistake(
            always_per_layer,
            'It ranks each layer alone even with `scope="global"`, so every layer loses the same share. '
            "Global means one ranking over all layers together.",
        ),
        Mistake(
            always_global,
            'It ranks all layers together even with `scope="layer"`, so one layer may lose much more '
            "than another.",
        ),
        Mistake(
            masks_forgotten,
            "It looks at the scores only and forgets `masks`: what an earlier round dropped has come "
            "back.",
        ),
        Mistake(
            floats_as_masks,
            "The right entries stay, but the masks are numbers. A mask is `torch.bool`, so that `~mask` "
            "and indexing mean what they say.",
        ),
    ),
    alternatives=(by_argsort, by_python_sort),
)
