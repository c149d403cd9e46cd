"""Exercise: which fraction of the entries do the masks drop?"""

import torch

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator
from pruneedu.tensors import sparsity

PARTS = {"one layer": 2, "layers of different size": 2, "nothing or everything goes": 1}


def _cases(seed: int) -> list[Case]:
    """Layers of very different size and sparsity: a mean over layers is far from the truth."""
    rng = generator(seed)

    def masks(*layers: tuple[tuple[int, ...], float]) -> dict[str, torch.Tensor]:
        made = {}
        for number, (shape, share) in enumerate(layers, 1):
            n = torch.Size(shape).numel()
            order = torch.randperm(n, generator=rng)
            made[f"fc{number}.weight"] = (order >= round(share * n)).view(shape)
        return made

    sizes = "the layers differ in size"
    return [
        Case("one layer", (masks(((4, 5), 0.8)),)),
        Case("one layer", (masks(((3, 7), 0.3)),)),
        Case("one layer", (masks(((2, 3, 3, 3), 0.6)),), note="the layer is a convolution"),
        Case("layers of different size", (masks(((8, 10), 0.9), ((2, 4), 0.25)),), note=sizes),
        Case(
            "layers of different size",
            (masks(((3, 3), 0.1), ((9, 6), 0.7), ((2, 9), 0.4)),),
            note=sizes,
        ),
        Case("nothing or everything goes", (masks(((2, 5), 0.0)),), note="nothing goes"),
        Case("nothing or everything goes", (masks(((2, 5), 1.0)),), note="everything goes"),
    ]


def share_kept(masks):
    return sum(int(mask.sum()) for mask in masks.values()) / _entries(masks)


def mean_of_layers(masks):
    return sum((~mask).float().mean().item() for mask in masks.values()) / len(masks)


def last_layer_only(masks):
    for mask in masks.values():
        share = (~mask).float().mean().item()
    return share


def number_dropped(masks):
    return sum(int((~mask).sum()) for mask in masks.values())


def in_percent(masks):
    return 100 * sparsity(masks)


def per_layer(masks):
    return {name: (~mask).float().mean().item() for name, mask in masks.items()}


def rows_as_entries(masks):
    return number_dropped(masks) / sum(len(mask) for mask in masks.values())


def as_a_tensor(masks):
    return torch.tensor(sparsity(masks))


def inverted_in_place(masks):
    return sum(int(mask.logical_not_().sum()) for mask in masks.values()) / _entries(masks)


def _entries(masks):
    return sum(mask.numel() for mask in masks.values())


def by_joining(masks):
    return (
        torch.cat([mask.flatten() for mask in masks.values()]).logical_not().double().mean().item()
    )


def by_counting(masks):
    dropped = entries = 0
    for mask in masks.values():
        for keep in mask.flatten().tolist():
            dropped += not keep
            entries += 1
    return dropped / entries


EXERCISE = Exercise(
    reference=sparsity,
    title="Which fraction do the masks drop?",
    minutes=4,
    cases=_cases,
    parts=PARTS,
    properties=(untouched(),),
    hints=(
        "In a mask `True` means keep. How do you count the entries that are `False`?",
        "Two counts over all layers together: the entries that go, and all entries. Divide once, at "
        "the end.",
        "`(~mask).sum()` counts what goes, `mask.numel()` counts all. Add up both over "
        "`masks.values()`, then divide.",
    ),
    mistakes=(
        Mistake(
            share_kept,
            "This is the fraction that stays. Sparsity is the fraction that goes: `True` means keep.",
        ),
        Mistake(
            mean_of_layers,
            "This is the mean of the layers' own sparsities, so a layer of 8 weights counts as much as "
            "one of 80. Count entries, not layers: divide once, at the end.",
        ),
        Mistake(
            last_layer_only,
            "This is the last layer alone. The loop forgets the layers before it.",
        ),
        Mistake(
            number_dropped,
            "This is how many entries go. A sparsity is a fraction of all entries: divide by them.",
        ),
        Mistake(
            in_percent,
            "These are per cent. In this course a sparsity is a fraction from 0 to 1.",
        ),
        Mistake(
            per_layer,
            "This gives one number a layer. One number for all layers together was asked for.",
        ),
        Mistake(
            rows_as_entries,
            "`len(mask)` counts rows. `mask.numel()` counts entries.",
        ),
        Mistake(
            as_a_tensor,
            "The number is right, but it is a tensor. `.item()` makes a plain number of it.",
        ),
        Mistake(
            inverted_in_place,
            "The number is right, but `logical_not_()` with an underscore turns the masks themselves "
            "around: what was to go now stays. Use `~mask`.",
        ),
    ),
    alternatives=(by_joining, by_counting),
)
