"""Exercise: which inputs can still reach an output of a pruned network?"""

import torch

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator
from pruneedu.tensors import Masks


def used_inputs(masks: Masks) -> torch.Tensor:
    """Say which inputs of a pruned network some output can still hear.

    used[j] = there is a path of kept weights from input j to some output

    Args:
        masks: weight-level masks of all layers of a fully connected network, in the order of the
            layers; each is [units, inputs of the layer], True = keep.

    Returns:
        [inputs] of truth values.

    Unit 0 reads input 0 and unit 1 reads input 1, but the output hears unit 1 only:

    >>> masks = {"fc1.weight": torch.eye(2).bool(), "fc2.weight": torch.tensor([[False, True]])}
    >>> used_inputs(masks)
    tensor([False,  True])
    """
    heard, *before = reversed(masks.values())
    live = heard.any(0)
    for mask in before:
        live = mask[live].any(0)
    return live


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)
    cases = []
    for part, sizes, share in (
        ("two layers", (9, 6, 4), 0.25),
        ("two layers", (12, 5, 3), 0.3),
        ("three layers", (10, 7, 7, 3), 0.22),
        ("three layers", (8, 8, 8, 8), 0.2),
        ("three layers", (12, 6, 5, 2), 0.3),
        ("more layers", (12, 8, 8, 8, 3), 0.25),
        ("more layers", (12, 8, 8, 8, 8, 2), 0.25),
    ):
        masks = _drawn(rng, sizes, share)
        while not _tells(masks):
            masks = _drawn(rng, sizes, share)
        cases.append(Case(part, (masks,)))
    one, dense, cut = (
        _drawn(rng, (6, 4), 0.3),
        _drawn(rng, (5, 4, 3), 1.0),
        _drawn(rng, (5, 4, 3), 1.0),
    )
    cut["fc2.weight"][:] = False
    many = _drawn(rng, (5, 16, 16, 1), 1.0)
    many["fc1.weight"][:, 2] = False
    return [
        *cases,
        Case("all, none and one layer", (one,), note="there is one layer"),
        Case("all, none and one layer", (dense,), note="nothing was dropped"),
        Case("all, none and one layer", (cut,), note="the last layer is empty"),
        Case("many paths", (many,), note="256 paths lead from an input to the output"),
    ]


def _drawn(rng: torch.Generator, sizes: tuple[int, ...], share: float) -> Masks:
    pairs = zip(sizes[1:], sizes[:-1], strict=True)
    drawn = [torch.rand(shape, generator=rng) < share for shape in pairs]
    return {f"fc{i}.weight": mask for i, mask in enumerate(drawn, 1)}


def _tells(masks: Masks) -> bool:
    """Whether some inputs are used, and no fewer than all layers show which."""
    right = used_inputs(masks)
    ways = (first_layer_only, one_layer_ahead, two_layers_ahead)[: len(masks) - 1]
    wrong = [way(masks) for way in ways]
    return bool(right.any()) and not any(torch.equal(right, other) for other in wrong)


def first_layer_only(masks):
    return next(iter(masks.values())).any(0)


def one_layer_ahead(masks):
    first, *rest = masks.values()
    return first[rest[0].any(0)].any(0) if rest else first.any(0)


def two_layers_ahead(masks):
    return used_inputs(dict(list(masks.items())[:3]))


def paths_in_a_byte(masks):
    first, *rest = (mask.byte() for mask in masks.values())
    paths = first
    for mask in rest:
        paths = mask @ paths
    return (paths > 0).any(0)


def units_not_inputs(masks):
    return next(iter(masks.values())).any(1)


def every_unit(masks):
    return next(iter(masks.values())).all(0)


def unused(masks):
    return ~used_inputs(masks)


def how_many(masks):
    return int(used_inputs(masks).sum())


def from_the_front(masks):
    live = None
    for mask in masks.values():
        live = mask.any(1) if live is None else mask[:, live].any(1)
    return live


def every_layer_in_turn(masks):
    *before, last = masks.values()
    live = last.any(0)
    for mask in before:
        live = mask[live].any(0) if mask.shape[0] == len(live) else mask.any(0)
    return live


def numbers_of_the_inputs(masks):
    return used_inputs(masks).nonzero().flatten()


def by_counting_paths(masks):
    first, *rest = (mask.double() for mask in masks.values())
    paths = first
    for mask in rest:
        paths = mask @ paths
    return paths.sum(0) > 0


def by_search(masks):
    layers = list(masks.values())

    def reaches(unit, depth):
        if depth == len(layers):
            return True
        return any(reaches(u, depth + 1) for u in layers[depth][:, unit].nonzero().flatten())

    return torch.tensor([reaches(j, 0) for j in range(layers[0].shape[1])])


EXERCISE = Exercise(
    reference=used_inputs,
    title="The inputs that are heard",
    minutes=8,
    cases=_cases,
    parts={
        "two layers": 3,
        "three layers": 2,
        "more layers": 1,
        "all, none and one layer": 1,
        "many paths": 1,
    },
    properties=(untouched(),),
    hints=(
        "A column of the first layer that holds a weight is not enough: the unit that reads it may "
        "itself be heard by nobody.",
        "Begin at the end. Which units of the last hidden layer does some output hear? Then go back one "
        "layer and look only at the rows of these units.",
        "`live = last.any(0)`; then for each mask before it, from the back to the front, "
        "`live = mask[live].any(0)`.",
    ),
    mistakes=(
        Mistake(
            first_layer_only,
            "It looks at the first layer only. An input whose units are heard by no output is not used: "
            "its weight is there, and does nothing.",
        ),
        Mistake(
            one_layer_ahead,
            "It looks one layer ahead and stops. A unit that is heard by a unit that nobody hears is as "
            "dead.",
        ),
        Mistake(
            two_layers_ahead,
            "It looks at three layers and stops. There may be more: go through all masks in a loop.",
        ),
        Mistake(
            paths_in_a_byte,
            "It counts paths in 8 bits, and 256 of them are 0 there. Ask whether there is a path, or "
            "count in floating point.",
        ),
        Mistake(
            units_not_inputs,
            "`any(1)` runs along a row and tells which *units* hear something. An input is a column.",
        ),
        Mistake(
            every_unit,
            "`all` asks that every unit of the first layer reads the input. One is enough.",
        ),
        Mistake(unused, "It is the other way round: these are the inputs that are not used."),
        Mistake(how_many, "This is how many. The question is which: a truth value for each input."),
        Mistake(
            from_the_front,
            "It goes from the front to the back and tells which *outputs* hear some input.",
        ),
        Mistake(
            every_layer_in_turn,
            "It begins at the end, which is right, and then takes the layers from the front. Go back "
            "layer by layer: the last but one comes next.",
        ),
        Mistake(
            numbers_of_the_inputs,
            "These are the numbers of the inputs that are used. A truth value for each was asked for.",
        ),
    ),
    alternatives=(by_counting_paths, by_search),
)
