"""The arithmetic coder against the ideal length and against a second coder."""

import math

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pruneedu.storage.arithmetic import decoder, encoder
from pruneedu.storage.errors import DamagedFile
from pruneedu.storage.mixing import FARTHEST, chances, log_odds, mixer
from pruneedu.storage.positions import coded_mask
from pruneedu.storage.values import coded_values

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


def test_the_tables_are_the_logistic_function_and_its_inverse():
    squash, stretch = chances(), log_odds()
    assert len(squash) == 2 * FARTHEST + 1
    assert len(stretch) == 65536
    for x in range(-FARTHEST, FARTHEST + 1, 7):
        assert abs(squash[x + FARTHEST] - 65536 / (1 + math.exp(-x / 256))) <= 1
    for chance in range(100, 65436, 97):
        exact = 256 * math.log(chance / (65536 - chance))
        # Where the table is steep, the next chance is several steps away.
        assert abs(stretch[chance] - exact) <= 1 + 256 / min(chance, 65536 - chance)


def test_a_mixer_comes_near_the_entropy_of_a_biased_source():
    rng = np.random.default_rng(0)
    bits = (rng.random(5000) < 0.1).astype(int).tolist()
    write = encoder()
    mixed = mixer(write.code, contexts=3, weights=[0.5, 0.5])
    for i, bit in enumerate(bits):
        mixed([0, 1 + i % 2], bit)
    share = sum(bits) / 5000
    entropy = -5000 * (share * math.log2(share) + (1 - share) * math.log2(1 - share))
    assert 8 * len(write.finish()) < 1.03 * entropy


@settings(max_examples=30, deadline=None)
@given(
    arrays.arrays(
        "i8", st.tuples(st.integers(0, 9), st.integers(0, 9)), elements=st.integers(-9, 9)
    ),
    st.integers(1, 4),
)
def test_a_layer_is_coded_as_short_as_its_model_allows(integers, width):
    write, chanced = encoder(), []

    def code(chance, bit):
        chanced.append((chance, bit))
        return write.code(chance, bit)

    mask = coded_mask(code, integers != 0, width, np.zeros(integers.shape[1], dtype=int))
    assert (mask == (integers != 0)).all()
    assert (coded_values(code, integers, mask) == integers).all()
    data = write.finish()
    assert 8 * len(data) <= 1.01 * ideal(chanced) + 8 * 16
    read = decoder(data)
    empty = np.zeros_like(integers)
    mask = coded_mask(read.code, empty != 0, width, np.zeros(integers.shape[1], dtype=int))
    assert (coded_values(read.code, empty, mask) == integers).all()
