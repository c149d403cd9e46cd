"""What the exercises of lesson 03 share: their cases, and gradients taken the plain way."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pruneedu.course.exercises import Case
from pruneedu.course.lessons.making import generator, randomised
from pruneedu.course.plain import Tool
from pruneedu.data import Split
from pruneedu.evaluation import eval_mode
from pruneedu.models import mlp, mnist1d_cnn, small_cnn
from pruneedu.tensors import prunable

PARTS = {"fully connected layers": 3, "convolutions and normalisation": 2, "any batch size": 2}
LOSS_PARTS = PARTS | {"any loss": 1}
TRAINING_MODE = (
    "The network is in training mode, in which batch normalisation uses the mean and the spread of "
    "the batch at hand: the examples change each other's gradients, and the running statistics of "
    "the network change as well. Call `model.eval()` first, or use `eval_mode(model)`."
)
LOSS_IGNORED = (
    "This always takes the plain cross-entropy. The loss is an argument, so that another one can be asked "
    "about: call `loss(model(x), y)`."
)


OLD_GRADIENT = (
    "`.grad` held the gradients of an earlier training, and `backward()` has added to them. Zero it "
    "first (`model.zero_grad()`), or use `torch.autograd.grad`, which reads and leaves no `.grad`."
)
OLD_AND_TRAINING = (
    "Two things at once. The network is in training mode: call `model.eval()`, or use "
    "`eval_mode(model)`. And `backward()` adds to the `.grad` that an earlier training left: zero it "
    "first, or use `torch.autograd.grad`."
)


def criterion_cases(seed: int) -> list[Case]:
    """Networks in training mode with random examples, some of them to be taken in small batches."""
    rng = generator(seed)
    dense, conv, batches = PARTS

    def case(part, model, examples, *shape, note="", **kwargs):
        return Case(part, (calm(model, rng), random_split(rng, examples, *shape)), kwargs, note)

    return [
        case(dense, mlp(4, 3), 5, 4),
        case(dense, mlp(6, 8, 5), 7, 6, note="no example has the last class"),
        case(dense, mlp(5, 7, 6, 4), 6, 5, note="no example has the last class"),
        case(conv, small_cnn((3, 4), 3), 6, 1, 8, 8, note="the network has batch normalisation"),
        case(conv, mnist1d_cnn(3, 4), 5, 40, note="the network has convolutions"),
        case(batches, mlp(5, 8, 3), 7, 5, batch_size=3, note="the last batch is smaller"),
        case(batches, mlp(4, 6, 3), 6, 4, batch_size=2, note="there are three batches"),
        case(
            batches, small_cnn((3,), 3), 5, 1, 8, 8, batch_size=2, note="the last batch is smaller"
        ),
    ]


def loss_cases(seed: int) -> list[Case]:
    """The same, and one that brings a loss of its own."""
    rng = generator(seed + 1)
    brought = {"loss": Tool("cross_entropy", {"label_smoothing": 0.4})}
    network, data = calm(mlp(5, 6, 3), rng), random_split(rng, 6, 5)
    another = Case("any loss", (network, data), brought, "the labels are smoothed")
    return [*criterion_cases(seed), another]


def calm(model: nn.Module, rng: torch.Generator) -> nn.Module:
    """Give every parameter a random value, small enough that no example has a gradient near 0."""
    with torch.no_grad():
        for parameter in randomised(model, rng).parameters():
            parameter *= 0.5
    return model


def random_split(rng: torch.Generator, examples: int, *shape: int, classes: int = 3) -> Split:
    """Return random examples with random labels."""
    x = torch.randn(examples, *shape, generator=rng)
    return Split(x, torch.randint(classes, (examples,), generator=rng))


def gradients_of(value: Tensor, model: nn.Module) -> dict[str, Tensor]:
    """Return the gradient of one number with respect to each prunable weight."""
    weights = prunable(model)
    return dict(zip(weights, torch.autograd.grad(value, list(weights.values())), strict=True))


def each_gradient(model: nn.Module, data: Split, loss) -> Iterator[dict[str, Tensor]]:
    """Yield the gradient of the loss of one example after the other, in eval mode."""
    with eval_mode(model):
        for x, y in zip(data.x, data.y, strict=True):
            yield gradients_of(loss(model(x[None]), y[None]), model)


def each_batch_gradient(model: nn.Module, data: Split, loss, batch_size: int) -> list[dict]:
    """Return the gradient of the mean loss of each batch, in eval mode."""
    with eval_mode(model):
        return [
            gradients_of(loss(model(x), y), model)
            for x, y in zip(data.x.split(batch_size), data.y.split(batch_size), strict=True)
        ]


def backward_gradients(model: nn.Module, data: Split, loss) -> dict[str, Tensor]:
    """Return what `.grad` holds after one backward pass, in the mode the network is in."""
    loss(model(data.x), data.y).backward()
    return {name: weight.grad.clone() for name, weight in prunable(model).items()}


def backward_each(model: nn.Module, data: Split, loss) -> Iterator[dict[str, Tensor]]:
    """Yield what `.grad` holds after one example after the other, in eval mode."""
    with eval_mode(model):
        for x, y in zip(data.x, data.y, strict=True):
            yield backward_gradients(model, Split(x[None], y[None]), loss)


def mean_gradient(model: nn.Module, data: Split, loss) -> dict[str, Tensor]:
    """Return the gradient of the mean loss of all examples, in eval mode."""
    return each_batch_gradient(model, data, loss, len(data.x))[0]


def total(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Add up tensors name by name."""
    return {name: sum(row[name] for row in rows) for name in rows[0]}
