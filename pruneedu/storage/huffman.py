"""Huffman coding: frequent symbols get short code words, by the one tree that is shortest in all.

Only the lengths of the code words need to be stored: `canonical_codes` gives everybody the same
words for the same lengths.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

from pruneedu.storage.errors import DamagedFile


def code_lengths(counts: Sequence[int]) -> list[int]:
    """Return the length of each symbol's code word in a Huffman code.

    Join the two rarest trees until one is left. A symbol's word grows by one bit each time its
    tree is joined, so the bits in all, Σ count · length, are the sum of all joined weights.

    Args:
        counts: how often each symbol occurs, at least 0 each.

    Returns:
        Bits for each symbol; 0 for one that does not occur. A lone symbol still gets one bit.

    Source: Huffman, "A method for the construction of minimum-redundancy codes", 1952.

    >>> code_lengths([8, 4, 2, 0, 2])
    [1, 2, 3, 0, 3]
    """
    lengths = [0] * len(counts)
    trees = [(int(n), symbol, [symbol]) for symbol, n in enumerate(counts) if n]
    if len(trees) == 1:
        lengths[trees[0][1]] = 1
    heapq.heapify(trees)
    while len(trees) > 1:
        (n1, _, rarest), (n2, tie, rarer) = heapq.heappop(trees), heapq.heappop(trees)
        joined = rarest + rarer
        for symbol in joined:
            lengths[symbol] += 1
        # The symbol in second place settles ties, so that the code is the same on every machine.
        heapq.heappush(trees, (n1 + n2, tie, joined))
    return lengths


def canonical_codes(lengths: Sequence[int]) -> list[int]:
    """Return the code words that follow from their lengths alone.

    Words of one length count up in the order of their symbols; from one length to the next, the
    count goes on with a 0 behind it.

    Args:
        lengths: bits of each symbol's word; 0 for a symbol without one.

    Returns:
        Each word as a number, to be written with `length` bits from the top one down.

    Raises:
        DamagedFile: lengths that no prefix code has, Σ 2^-length > 1.

    Source: Schwartz and Kallick, "Generating a canonical prefix encoding", 1964.

    >>> [f"{code:0{n}b}" for n, code in zip([1, 2, 3, 3], canonical_codes([1, 2, 3, 3]))]
    ['0', '10', '110', '111']
    """
    codes, code, before = [0] * len(lengths), 0, 0
    for length, symbol in sorted((n, symbol) for symbol, n in enumerate(lengths) if n):
        code <<= length - before
        if code >> length:
            raise DamagedFile(f"the code lengths {list(lengths)[:8]}… belong to no Huffman code")
        codes[symbol], code, before = code, code + 1, length
    return codes


def encode(symbols: Sequence[int], lengths: Sequence[int]) -> bytes:
    """Write the code words of the symbols one after the other; the last byte is filled with 0.

    Args:
        symbols: numbers below `len(lengths)` that have a code word.
        lengths: as from `code_lengths`.

    Raises:
        ValueError: a symbol without a code word.

    >>> encode([0, 1, 2, 0], [1, 2, 3, 3]).hex()  # 0 10 110 0
    '58'
    """
    words = [
        f"{c:0{n}b}" if n else "" for n, c in zip(lengths, canonical_codes(lengths), strict=True)
    ]
    written = [words[symbol] for symbol in symbols]
    if not all(written):
        missing = symbols[written.index("")]
        raise ValueError(f"the symbol {missing} has no code word: count it in code_lengths first")
    return np.packbits(np.array(list("".join(written)), dtype=np.uint8)).tobytes()


def decode(data: bytes, lengths: Sequence[int], count: int) -> list[int]:
    """Read code words back into symbols.

    Args:
        data: bytes as from `encode`.
        lengths: the same as there.
        count: how many symbols to read.

    Returns:
        The symbols. They took `sum(lengths[s] for s in symbols)` bits.

    Raises:
        DamagedFile: bits that are no code word, too few bytes, or lengths of no Huffman code.

    >>> decode(bytes.fromhex("58"), [1, 2, 3, 3], count=4)
    [0, 1, 2, 0]
    """
    codes = canonical_codes(lengths)
    symbol_of = {(n, c): s for s, (n, c) in enumerate(zip(lengths, codes, strict=True)) if n}
    symbols, length, word = [], 0, 0
    bits = iter(np.unpackbits(np.frombuffer(data, np.uint8)).tolist())
    longest = max(lengths, default=0)
    while len(symbols) < count:
        if length == longest or (bit := next(bits, None)) is None:
            raise DamagedFile(f"only {len(symbols)} of {count} Huffman code words can be read")
        length, word = length + 1, 2 * word + bit
        if (symbol := symbol_of.get((length, word))) is not None:
            symbols.append(symbol)
            length = word = 0
    return symbols
