"""No damaged, foreign or hostile file crashes its reader, stalls it or fills its memory."""

import resource
import time
from collections import Counter

import pytest
import torch
from damaging import damaged, resealed

from pruneedu.models import mlp
from pruneedu.storage import (
    Contents,
    DamagedFile,
    Plain,
    Quantized,
    Shared,
    contents_of,
    decode,
    eighth_power,
    encode,
    inspect,
)
from pruneedu.storage.file import MAGIC
from pruneedu.storage.plain_data import number_bytes as number
from pruneedu.storage.plain_data import plain_bytes, text_bytes


def tiny_files():
    """Return files of a few dozen bytes that together use all that a file can hold."""
    generator = torch.Generator().manual_seed(1)
    weight = (torch.randn(3, 4, generator=generator) * 2).round().char()
    weight[:, 1] = weight[2] = 0
    labels = torch.randint(0, 3, (2, 3), generator=generator)
    step, zero = torch.tensor(eighth_power(-9)), torch.tensor(0).int()
    by_channel = torch.tensor([0.5, 0.3, 1.0])
    vectors = torch.randn(2, 2, 3, generator=generator).half()
    parts = {
        "fc1.weight": Quantized(weight, step, zero),
        "fc2.weight": Shared(labels, torch.tensor([0.0, -1.0, 2.0])),
    }
    model = mlp(4, 3, 2)
    model.load_state_dict({name: part.dense() for name, part in parts.items()}, strict=False)
    named = contents_of(model, parts)
    others = Contents(
        {
            "a": Quantized(weight.clamp_min(0).byte(), by_channel, torch.tensor([1, 2, 3]).int()),
            "b": Quantized(weight.int(), by_channel, by_channel / 2),
            "c": Shared(labels[:, :2] % 2, vectors, shape=(2, 3, 2)),
            "d": Plain(torch.tensor([0.0, 0.0, 0.0, 5.0])),
            "e": Plain(torch.tensor([[True, False], [True, True]])),
            "f": Plain(torch.tensor(3)),
        },
        ("mlp", {"sizes": (4, 2)}),
        {"ranks": {"fc1": 2, "x": (None, 0.5, [True, "y"])}},
    )
    return [encode(c, coder) for c in (named, others) for coder in ("arithmetic", "huffman")]


def test_twenty_thousand_damaged_files_are_refused_or_read_whole():
    files = tiny_files()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found, slowest, longest = Counter(), 0.0, 0
    for i, data in enumerate(damaged(files, count=20_000, seed=0)):
        start = time.process_time()
        try:
            contents = decode(data)
        except DamagedFile as error:
            longest = max(longest, len(str(error)))
            found["refused", i % 2] += 1
        else:
            for part in contents.tensors.values():
                dense = part.dense()
                assert dense.dtype == torch.bool or dense.isfinite().all()
                assert getattr(part, "shape", dense.shape) == dense.shape
            found["read", i % 2] += 1
        slowest = max(slowest, time.process_time() - start)
    # A changed byte is noticed by the checksum; what was made to look whole may be read.
    assert found["read", 0] <= 20  # Some damage changes nothing, such as a byte that stays.
    assert 500 < found["read", 1] < 5000
    assert slowest < 2
    assert longest < 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 200_000  # kilobytes


def test_every_early_end_is_refused():
    for file in tiny_files():
        for end in range(len(file)):
            with pytest.raises(DamagedFile):
                decode(file[:end])
            with pytest.raises(DamagedFile):
                inspect(resealed(file[:end]))


def test_every_single_flip_is_noticed_by_the_checksum():
    for file in tiny_files():
        for place in range(len(file)):
            for bit in range(8):
                data = bytearray(file)
                data[place] ^= 1 << bit
                with pytest.raises(DamagedFile):
                    decode(bytes(data))


def hostile(flags, *body, floats=0):
    return resealed(MAGIC + bytes(4) + number(flags) + number(floats) + b"".join(body))


def tensor(*shape, name="w"):
    return text_bytes(name) + number(len(shape)) + b"".join(map(number, shape))


SHAPES, CLASSIC, NETWORK, PLAN = 4, 1, 2, 8
DENSE_FLOATS, SPARSE_FLOATS, INT8 = number(0), number(3 * 10), number(1) + number(0)
BY_CHANNEL = number(1 + 3 * 4 * (1 + 2 * 3 * 2))  # a scale of two dimensions, written out
VECTORS = number(2 + 3 * 5 * 4)
BOMBS = {
    "a large shape": hostile(SHAPES, number(1), tensor(1 << 20, 1 << 20), INT8, b"\0" * 9),
    "rows of nothing": hostile(SHAPES, number(1), tensor(1 << 62, 0), INT8),
    "columns of nothing": hostile(SHAPES, number(1), tensor(0, 1 << 62), INT8),
    "many tensors": hostile(SHAPES, number(1 << 60), tensor(2)),
    "many dimensions": hostile(SHAPES, number(1), tensor(*[1] * 100), INT8),
    "floats that are not there": hostile(SHAPES, number(1), tensor(1000, 1000), DENSE_FLOATS),
    "a layer of zeros without end": hostile(
        SHAPES, number(1), tensor(1000, 1000), SPARSE_FLOATS, b"\x00\x00\x01"
    ),
    "a layer of ones without end": hostile(
        SHAPES, number(1), tensor(1000, 1000), INT8, b"\x00\x00\x00\x00"
    ),
    "scales that are not there": hostile(
        SHAPES, number(1), tensor(2, 2), BY_CHANNEL, number(1 << 40), number(0)
    ),
    "empty vectors": hostile(
        SHAPES, number(1), tensor(2, 2), VECTORS, number(1 << 40), number(0), number(0)
    ),
    "words that are not there": hostile(
        SHAPES | CLASSIC, number(1), tensor(9, 9), INT8, number(1 << 50), number(9), number(1)
    ),
    "long code words": hostile(
        SHAPES | CLASSIC, number(1), tensor(3), INT8, number(1), number(1), number(1), b"\0\xfc\0"
    ),
    "a huge network": hostile(NETWORK, b"\0\1", plain_bytes((1 << 23, 1 << 23))),
    "a deep network": hostile(NETWORK, b"\0\1", plain_bytes((2,) * 100_000)),
    "a network without sizes": hostile(NETWORK, b"\0\1", plain_bytes("sizes")),
    "a huge network beside its shapes": hostile(
        NETWORK | SHAPES, b"\0\1", plain_bytes((1 << 13, 1 << 14)), number(0)
    ),
    "no network beside its shapes": hostile(
        NETWORK | SHAPES, b"\5\1", plain_bytes((1, 2)), number(0)
    ),
    "an unknown network": hostile(NETWORK, number(99), number(0)),
    "a deep plan": hostile(PLAN, b"\x07\x01" * 5000),
    "a long plan": hostile(PLAN, b"\x07" + number(1 << 62)),
    "a plan of numbers": hostile(SHAPES | PLAN, plain_bytes(5), number(0)),
    "a key of the plan twice": hostile(
        SHAPES | PLAN, b"\x08\2" + 2 * (text_bytes("data") + plain_bytes(1)), number(0)
    ),
    "more bytes than the words take": hostile(
        SHAPES | CLASSIC, number(1), tensor(1), INT8, b"\1\1\2\0\4\0\0" + b"\1\1\1\2\4\0"
    ),
    "nothing": hostile(0),
    "a scale beyond floats": hostile(SHAPES, number(1), tensor(1), number(1), number(1 << 60)),
    "one name twice": hostile(SHAPES, number(2), tensor(1), tensor(1), INT8, INT8),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_time_and_memory(name):
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with pytest.raises(DamagedFile):
        decode(BOMBS[name])
    assert time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 200_000  # kilobytes
