"""What the exercises of lesson 05 share: small networks that are right more often than not."""

import torch
from torch import Tensor, nn

from pruneedu.course.lessons.making import randomised
from pruneedu.data import Split
from pruneedu.evaluation import eval_mode
from pruneedu.models import mlp, small_cnn
from pruneedu.tensors import Scores, prunable_layers

EXAMPLES = 40


def network(rng: torch.Generator, *sizes: int, image: int = 0) -> tuple[nn.Module, Split]:
    """Return a random network in training mode, and examples of which it gets about 7 in 10 right.

    Its answers are spread over the classes.

    Args:
        rng: where the numbers come from.
        sizes: of the layers of an `mlp`; with an image, channels and then classes.
        image: the side of square images, or 0 for plain inputs.
    """
    shape = (1, image, image) if image else sizes[:1]
    made = small_cnn(sizes[:-1], sizes[-1]) if image else mlp(*sizes)
    model = randomised(made, rng)
    x = torch.randn(EXAMPLES, *shape, generator=rng)
    with eval_mode(model), torch.no_grad():
        said, last = model(x), list(prunable_layers(model).values())[-1]
        last.weight /= said.std(0)[:, None]  # so that no class is the answer to everything
        last.bias.copy_((last.bias - said.mean(0)) / said.std(0))
        right = model(x).argmax(1)
    chance = torch.randint(sizes[-1], (EXAMPLES,), generator=rng)
    return model, Split(x, torch.where(torch.rand(EXAMPLES, generator=rng) < 0.6, right, chance))


def unit_scores(rng: torch.Generator, *units: int, top: int = 0) -> Scores:
    """Return unit-level scores without ties, or whole numbers from 1 to `top`, with many."""
    total = sum(units)
    row: Tensor = torch.randperm(total, generator=rng).float() + 1
    if top:
        row = torch.randint(1, top + 1, (total,), generator=rng).float()
    return {f"fc{i}": part for i, part in enumerate(row.split(units), 1)}
