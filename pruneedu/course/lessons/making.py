"""Random inputs for cases, from one generator, so that a seed gives the same cases everywhere."""

import torch
from torch import Tensor, nn


def generator(seed: int) -> torch.Generator:
    """Return a generator of its own, so that no case depends on what ran before."""
    return torch.Generator().manual_seed(seed)


def uniform(rng: torch.Generator, low: float, high: float, digits: int = 2) -> float:
    """Return one number in [low, high], rounded, so that feedback about it stays readable."""
    return round(low + (high - low) * torch.rand((), generator=rng).item(), digits)


def scores(rng: torch.Generator, *shapes: tuple[int, ...]) -> dict[str, Tensor]:
    """Return weight-level scores without ties: a permutation of 1, 2, 3, … over all layers."""
    sizes = [torch.Size(shape).numel() for shape in shapes]
    order = torch.randperm(sum(sizes), generator=rng).float() + 1
    parts = order.split(sizes)
    return {
        f"fc{i}.weight": p.view(s) for i, (p, s) in enumerate(zip(parts, shapes, strict=True), 1)
    }


def randomised(model: nn.Module, rng: torch.Generator) -> nn.Module:
    """Give every parameter of a fresh model a random value, also those of the normalisation."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng))
    return model
