"""Huffman codes and gaps against hand-made numbers, brute force and a second implementation."""

from collections import Counter
from itertools import product

import dahuffman
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneedu.storage import huffman
from pruneedu.storage.errors import DamagedFile
from pruneedu.storage.gaps import from_gaps, to_gaps

SYMBOLS = st.lists(st.integers(0, 20), max_size=200)


def counted(symbols):
    counts = Counter(symbols)
    return [counts[symbol] for symbol in range(max(symbols, default=0) + 1)]


@given(SYMBOLS)
def test_symbols_come_back(symbols):
    lengths = huffman.code_lengths(counted(symbols))
    data = huffman.encode(symbols, lengths)
    assert huffman.decode(data, lengths, len(symbols)) == symbols
    assert len(data) == -(-sum(lengths[symbol] for symbol in symbols) // 8)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5))
def test_no_prefix_code_is_shorter(counts):
    lengths = huffman.code_lengths(counts)
    # By Kraft's inequality, lengths belong to a prefix code where Σ 2^-length ≤ 1.
    every = (
        sum(n * length for n, length in zip(counts, tried, strict=True))
        for tried in product(range(1, len(counts)), repeat=len(counts))
        if sum(0.5**length for length in tried) <= 1
    )
    assert sum(n * length for n, length in zip(counts, lengths, strict=True)) == min(every)


@given(SYMBOLS.filter(lambda symbols: len(set(symbols)) > 1))
def test_a_second_implementation_needs_as_many_bits(symbols):
    # It adds an end-of-data symbol of its own, which stands here as a symbol that occurs once.
    theirs = dahuffman.HuffmanCodec.from_frequencies(Counter(symbols)).get_code_table()
    counts = [*counted(symbols), 1]
    lengths = huffman.code_lengths(counts)
    total = sum(n * length for n, length in zip(counts, lengths, strict=True))
    (end,) = [word for word in theirs if word not in set(symbols)]
    assert total == sum(theirs[s][0] for s in symbols) + theirs[end][0]


def test_words_follow_from_lengths_alone():
    assert huffman.canonical_codes([2, 1, 3, 3]) == [0b10, 0b0, 0b110, 0b111]
    assert huffman.code_lengths([0, 7, 0]) == [0, 1, 0]
    assert huffman.code_lengths([]) == []


@pytest.mark.parametrize(
    ("lengths", "data"),
    [
        ([1, 1, 1], b"\x00"),  # three words of one bit
        ([1, 2], b"\xff"),  # 11 is no word
        ([1, 1], b""),  # too short
        ([], b"\xff"),  # no word at all
    ],
)
def test_what_is_no_huffman_code_is_refused(lengths, data):
    with pytest.raises(DamagedFile):
        huffman.decode(data, lengths, count=9)


def test_a_symbol_without_a_word_is_refused():
    with pytest.raises(ValueError, match="symbol 1 has no code word"):
        huffman.encode([0, 1], [1, 0, 1])


@given(st.lists(st.booleans(), max_size=300), st.integers(1, 6))
def test_positions_come_back_from_gaps(mask, bits):
    mask = np.array(mask, dtype=bool)
    gaps = to_gaps(mask, bits)
    positions = from_gaps(gaps, len(mask))
    kept = positions[mask[positions]]
    assert kept.tolist() == np.flatnonzero(mask).tolist()
    assert ((gaps >= 0) & (gaps < 2**bits)).all()
    # A filler only stands where a gap is as long as it can be.
    assert (gaps[~mask[positions]] == 2**bits - 1).all()


def test_the_figure_of_deep_compression():
    mask = np.zeros(16, dtype=bool)
    mask[[1, 4, 15]] = True
    gaps = to_gaps(mask, bits=3)
    assert (gaps + 1).tolist() == [2, 3, 8, 3]  # The paper counts from 0, so it has 1, 3, 8, 3.
    assert from_gaps(gaps, 16).tolist() == [1, 4, 12, 15]


def test_gaps_past_the_end_are_refused():
    with pytest.raises(DamagedFile, match="entry 4 of a tensor of 4"):
        from_gaps(np.array([1, 2]), entries=4)
