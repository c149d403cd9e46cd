"""The chance of the next bit, learned while coding, from several contexts at once.

Each context remembers how often its bits were 1. A small logistic regression mixes what they say,
and learns from each bit whom to trust. All of it in integers: 65536ths for chances and weights,
256ths for log-odds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from operator import mul

FARTHEST = 2816  # Log-odds of 11, in 256ths: a chance of 1 in 59,875.
_RATE = 15  # Of the weights: 2^-15 · 65536 · 256 / 65536 = 1/128 per unit of log-odds.
_MEMORY = 250  # A context counts as if it had seen no more bits than this.
_ROOT = 18518942588666869714  # e^(1/256), in 2^-64ths


@cache
def chances() -> list[int]:
    """Return the logistic function as a table: chance of log-odds x = -2816 … 2816.

    squash(x) = 65536 / (1 + e^(-x / 256)), rounded down, kept from 1 to 65535

    The powers of e come from products of integers: `math.exp` may differ between machines.

    >>> table = chances()
    >>> table[0], table[2816], table[2816 + 256]  # 65536 / (1 + 1/e) = 47910.8
    (2, 32768, 47910)
    """
    power, upper = 1 << 64, []
    for _ in range(FARTHEST + 1):
        upper.append((power << 16) // (power + (1 << 64)))
        power = power * _ROOT >> 64
    return [65536 - chance for chance in reversed(upper[1:])] + upper


@cache
def log_odds() -> list[int]:
    """Return the inverse of `chances`: log-odds, in 256ths, of the chances 0 … 65535.

    >>> table = log_odds()
    >>> table[0], table[32768], table[47910]  # as computed in `chances`
    (-2816, 0, 256)
    """
    table = []
    for x, chance in enumerate(chances(), -FARTHEST):
        table += [x] * (chance + 1 - len(table))
    return table + [FARTHEST] * (65536 - len(table))


@cache
def _steps() -> list[int]:
    """Return how far a context moves towards its n-th bit, 1 / (n + 3/2), in 65536ths."""
    return [65536 * 2 // (2 * n + 3) for n in range(_MEMORY + 1)]


def mixer(
    code: Callable[[int, int], int], contexts: int, weights: Sequence[float], chance: int = 32768
) -> Callable[[Sequence[int], int], int]:
    """Return `coded(context numbers, bit) -> bit`, which codes a bit at a chance that it learns.

    The chance is squash(Σ_i w_i · stretch(p_i)) for the chances p_i of the given contexts. Then
    w_i ← w_i + η · (bit - chance) · stretch(p_i), the gradient step that shortens the code, and
    p_i ← p_i + (bit - p_i) / (n_i + 3/2), where n_i counts the bits that context i has seen.

    Args:
        code: the encoder's or the decoder's, from `arithmetic`.
        contexts: how many there are.
        weights: at the start, one for each context that a bit has.
        chance: of a 1 at the start in all contexts, in 65536ths.

    Source: Mahoney, "Adaptive weighing of context models for lossless data compression", 2005.

    >>> from pruneedu.storage.arithmetic import encoder
    >>> write = encoder()
    >>> coded = mixer(write.code, contexts=2, weights=[0.5, 0.5])
    >>> for i in range(1000):
    ...     _ = coded([0, 1], int(i % 100 == 0))
    >>> len(write.finish())  # 1000 bits of entropy 0.0808 are 10.1 bytes
    12
    """
    stretch, squash, steps = log_odds(), chances(), _steps()
    odds = [round(65536 * weight) for weight in weights]
    learned, seen = [chance] * contexts, [2] * contexts

    def coded(numbers: Sequence[int], bit: int) -> int:
        inputs = [stretch[learned[i]] for i in numbers]
        mixed = sum(map(mul, odds, inputs)) >> 16
        p = squash[max(-FARTHEST, min(FARTHEST, mixed)) + FARTHEST]
        bit = code(p, bit)
        error, target = (bit << 16) - p, 65535 * bit
        for place, i in enumerate(numbers):
            odds[place] += error * inputs[place] >> _RATE
            n = seen[i]
            learned[i] += (target - learned[i]) * steps[n] >> 16
            if n < _MEMORY:
                seen[i] = n + 1
        return bit

    return coded
