"""The arithmetic coder against the ideal length and against a second coder."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneedu.storage.arithmetic import decoder, encoder
from pruneedu.storage.errors import DamagedFile

CHANCED = st.lists(st.tuples(st.integers(1, 65535), st.integers(0, 1)), max_size=300)


def written(chanced):
    write = encoder()
    for chance, bit in chanced:
        write.code(chance, bit)
    return write.finish()


def ideal(chanced):
    return sum(-math.log2((c if bit else 65536 - c) / 65536) for c, bit in chanced)


@given(CHANCED)
def test_bits_come_back_at_any_chances(chanced):
    data = written(chanced)
    read = decoder(data)
    assert [read.code(chance, 0) for chance, _ in chanced] == [bit for _, bit in chanced]
    assert read.finish() == b""
    assert 8 * len(data) <= 1.01 * ideal(chanced) + 8 * 2


@pytest.mark.parametrize("chance", [1, 600, 32768, 65535])
@pytest.mark.parametrize("bit", [0, 1])
def test_constant_texts_reach_their_ideal_length(chance, bit):
    chanced = [(chance, bit)] * 5000
    data = written(chanced)
    assert abs(8 * len(data) - ideal(chanced)) <= 0.002 * ideal(chanced) + 16
    read = decoder(data)
    assert all(read.code(chance, 0) == bit for _ in chanced)


def test_carries_reach_far_back():
    # Rare ones push low towards the top of its interval, so that runs of 0xff build up.
    chanced = [(1, 0)] * 50 + [(65535, 0)] * 3 + [(1, 0)] * 400 + [(40000, 0)] * 100
    chanced = chanced * 5
    read = decoder(written(chanced))
    assert not any(read.code(chance, 1) for chance, _ in chanced)


@given(CHANCED.filter(len))
def test_what_was_spent_grows_with_the_ideal_length(chanced):
    write, read = encoder(), decoder(written(chanced))
    for i, (chance, bit) in enumerate(chanced, 1):
        write.code(chance, bit)
        read.code(chance, 0)
        assert write.spent() == read.spent()
        assert abs(write.spent() - ideal(chanced[:i])) < 2 + 0.01 * ideal(chanced[:i])


def test_a_second_coder_needs_as_many_bytes():
    constriction = pytest.importorskip("constriction")
    rng = np.random.default_rng(0)
    chances = rng.integers(1, 65536, 4000)
    bits = (rng.random(4000) < chances / 65536).astype(np.int32)
    theirs = constriction.stream.queue.RangeEncoder()
    theirs.encode(bits, constriction.stream.model.Bernoulli(perfect=True), chances / 65536)
    ours = written(zip(chances.tolist(), bits.tolist(), strict=True))
    assert abs(len(ours) - theirs.get_compressed().nbytes) <= 8


def test_early_ends_left_bytes_and_endless_texts_are_refused():
    data = written([(32768, 1)] * 400)
    read = decoder(data[:-5])
    with pytest.raises(DamagedFile, match="end after 45 bytes"):
        [read.code(32768, 0) for _ in range(400)]
    read = decoder(data + b"\0" * 5)
    [read.code(32768, 0) for _ in range(400)]
    with pytest.raises(DamagedFile, match="bytes are left"):
        read.finish()
    read = decoder(data, most=10)
    with pytest.raises(DamagedFile, match="more than 10 bits"):
        [read.code(65535, 0) for _ in range(11)]
