"""Plain data crosses unchanged; whatever else is sent is refused in one sentence, and cheaply."""

import contextlib
import json
import math
import time
from collections import OrderedDict

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pruneedu.course.comparing import difference
from pruneedu.course.plain import (
    MAX_DEPTH,
    MAX_DESCRIPTION,
    MAX_DIGITS,
    MAX_TENSORS,
    ModelState,
    NotPlainError,
    Tool,
    pack,
    unpack,
)
from pruneedu.data import Split
from pruneedu.models import mlp, small_cnn

DTYPES = (
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.bfloat16, torch.float16, torch.float32, torch.float64),
)


def tensors():
    shapes = st.lists(st.integers(0, 3), max_size=3)

    def make(dtype, shape, start):
        n = math.prod(shape)
        return ((torch.arange(n) + start) % 7 - 3).view(shape).to(dtype)

    return st.builds(make, st.sampled_from(DTYPES), shapes, st.integers(0, 100))


def plain_values():
    text = st.text(st.characters(codec="utf-8"), max_size=8)
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), text, tensors())
    keys = st.one_of(text, st.integers())
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.lists(inner, max_size=4).map(tuple),
            st.dictionaries(keys, inner, max_size=4),
        ),
        max_leaves=12,
    )


def same(one, other) -> bool:
    """Equal in type and value, nan and -0.0 included: stricter than what the judge asks for."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return one.hex() == other.hex()
    return one == other


def message(description, tensors=None) -> bytes:
    """A message with any description, as an attacker would write it."""
    text = description if isinstance(description, bytes) else json.dumps(description).encode()
    block = safetensors.torch.save(tensors or {})
    return len(text).to_bytes(8, "big") + text + block


def header(shape, size, dtype="F32") -> bytes:
    """The head of a safetensors block, whatever the block holds."""
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}
    text = json.dumps({"0": entry}).encode()
    return len(text).to_bytes(8, "little") + text


@given(plain_values())
@settings(max_examples=100, deadline=None)
def test_every_plain_value_comes_back_as_it_was(value):
    back = unpack(pack(value))
    assert same(value, back)
    assert difference(value, back) is None


@pytest.mark.parametrize("model", [mlp(4, 3, 2), small_cnn((2, 3))], ids=["mlp", "cnn"])
def test_a_model_crosses_as_its_state_and_is_built_only_where_asked(model):
    packed = pack(model)
    state = unpack(packed)
    assert type(state) is ModelState
    built = unpack(packed, build=True)
    assert built.architecture == model.architecture
    for made in (state.state, built.state_dict()):
        assert same(dict(model.state_dict()), dict(made))


def test_numbers_of_numpy_become_numbers_of_python():
    back = unpack(pack([np.float64(0.5), np.int64(3), np.bool_(True)]))
    assert back == [0.5, 3, True]
    assert list(map(type, back)) == [float, int, bool]


def test_a_split_comes_back_as_a_split():
    sent = Split(torch.arange(4.0).view(2, 2), None)
    back = unpack(pack([sent]))[0]
    assert type(back) is Split
    assert torch.equal(back.x, sent.x)
    assert back.y is None


def test_a_model_state_can_be_sent_on():
    state = unpack(pack(mlp(2, 2)))
    assert same(unpack(pack(state)).state, state.state)


def test_a_tool_is_built_only_where_asked():
    packed = pack(Tool("random", {"seed": 3}))
    assert unpack(packed) == Tool("random", {"seed": 3})
    model = mlp(4, 2)
    assert unpack(packed, build=True)(model)["fc1.weight"].shape == (2, 4)


def test_what_is_unpacked_shares_nothing_with_what_was_packed():
    value = [torch.zeros(3), torch.zeros(2, 3).t(), nn.Parameter(torch.zeros(2))]
    back = unpack(pack(value))
    for tensor in back:
        tensor.add_(1)
    assert all(not tensor.any() for tensor in value)
    assert [tensor.requires_grad for tensor in back] == [False] * 3


class Equal(float):
    """A number that equals everything."""

    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


class Names(dict):
    pass


class Everything(torch.Tensor):
    pass


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Equal(1), "Equal"),
        (Names(a=1), "Names"),
        (OrderedDict(a=1), "OrderedDict"),
        (torch.zeros(2).as_subclass(Everything), "Everything"),
        (np.zeros(2), "from_numpy"),
        (object(), "object"),
        ({1.5: 2}, "key of type float"),
        ({True: 2}, "key of type bool"),
        (1j, "complex"),
        (torch.zeros(2).to_sparse(), "dense"),
        (torch.zeros(2, dtype=torch.complex64), "complex64"),
        (torch.zeros(2, device="meta"), "meta"),
        (torch.zeros(1).expand(10**12), "shape (1000000000000,)"),
        ([torch.zeros(MAX_TENSORS // 8)] * 3, "the value[2] has shape"),
        (10**MAX_DIGITS, "more than 300 digits"),
        ("a" * MAX_DESCRIPTION, "at most 1,000,000"),
        ([0] * MAX_DESCRIPTION, "more than 100,000"),
        ([torch.zeros(0)] * 30_000, "more tensors"),
        ("\ud800", "surrogate"),
        ({"\ud800": 1}, "surrogate"),
        ([{"w": (1, {2, 3})}], "the value[0]['w'][1] is of type set"),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_what_is_not_plain_is_named(value, words):
    with pytest.raises(NotPlainError) as refused:
        pack(value)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_list_that_holds_itself_and_one_that_doubles_are_refused_at_once():
    endless, double = [], []
    endless.append(endless)
    for _ in range(MAX_DEPTH - 2):
        double = [double, double]
    for value in (endless, double):
        with pytest.raises(NotPlainError):
            pack(value)


def test_depth_is_counted_the_same_on_both_sides():
    def nested(depth):
        value = []
        for _ in range(depth - 1):
            value = [value]
        return value

    assert unpack(pack(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(NotPlainError, match="more than 40 deep"):
        pack(nested(MAX_DEPTH + 1))
    description = ["list", []]
    for _ in range(MAX_DEPTH):
        description = ["list", [description]]
    with pytest.raises(NotPlainError, match="more than 40 deep"):
        unpack(message(description))


@pytest.mark.parametrize(
    "description",
    [
        ["bool", 1],
        ["bool", "true"],
        ["bool", None],
        ["NoneType", False],
        ["int", True],
        ["int", "9" * (MAX_DIGITS + 2)],
        ["int", "1.5"],
        ["int", ["1"]],
        ["float", "0x1p99999"],
        ["float", "half"],
        ["str", ["a"]],
        ["str", "\ud800"],
        ["list", "abc"],
        ["list", {"a": None}],
        ["dict", [["str", "a"]]],
        ["dict", [[["list", []], ["NoneType", None]]]],
        ["dict", [[["bool", True], ["NoneType", None]]]],
        ["dict", [[["float", "0x0p0"], ["NoneType", None]]]],
        ["dict", [[["tuple", []], ["NoneType", None]]]],
        ["dict", [[["str", "a"], ["NoneType", None]]] * 2],
        ["tensor", "0"],
        ["tensor", ["0"]],
        ["Tool", ["random"], ["dict", []]],
        ["Tool", "random", ["list", []]],
        ["Tool", "random"],
        ["model", ["NoneType", None], ["list", []]],
        ["object", "os.system"],
        [],
        {},
        None,
        "list",
        True,
    ],
    ids=str,
)
@pytest.mark.parametrize("build", [False, True], ids=["read", "build"])
def test_a_description_that_nobody_packed_is_refused(description, build):
    with pytest.raises(NotPlainError):
        unpack(message(description), build)


@pytest.mark.parametrize("text", [b"1", b"[1]", b'["float", NaN]', b'["str", -Infinity]', b"1.5"])
def test_bare_numbers_are_refused(text):
    with pytest.raises(NotPlainError, match="bare number"):
        unpack(message(text))


def test_a_tool_is_a_name_only_as_long_as_nobody_builds_it():
    assert unpack(message(["Tool", "os.system", ["dict", []]])) == Tool("os.system", {})
    with pytest.raises(NotPlainError):
        unpack(message(["Tool", "os.system", ["dict", []]]), build=True)


def test_each_tensor_is_described_once():
    one = {"0": torch.ones(2)}
    assert same(unpack(message(["tensor", "0"], one)), torch.ones(2))
    twice = ["list", [["tensor", "0"], ["tensor", "0"]]]
    for description in (twice, ["list", []]):
        with pytest.raises(NotPlainError):
            unpack(message(description, one))


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(2, dtype=torch.complex64), torch.zeros(2).to(torch.float8_e4m3fn)],
    ids=["complex", "float8"],
)
def test_tensors_of_other_types_are_refused(tensor):
    with pytest.raises(NotPlainError, match=f"a tensor of {tensor.dtype}"):
        unpack(message(["tensor", "0"], {"0": tensor}))


def test_a_truth_value_counts_for_one():
    text = b'["tensor", "0"]'
    block = header([4], 4, "BOOL") + bytes([0, 1, 2, 255])
    mask = unpack(len(text).to_bytes(8, "big") + text + block)
    assert mask.dtype == torch.bool
    assert mask.sum() == 3


@pytest.mark.parametrize(
    "block",
    [
        header([2**62], 0),
        header([0, 2**62, 2**62], 0),
        header([0, 2**63], 0),
        header([10**9], 4 * 10**9),
        header([-1], 4) + bytes(4),
        header([2], 4) + bytes(4),
        (10**8).to_bytes(8, "little") + b"{}",
        b"",
        b"\x00" * 7,
    ],
    ids=range(9),
)
def test_sizes_that_are_not_there_cost_nothing(block):
    text = b'["tensor", "0"]'
    with pytest.raises(NotPlainError):
        unpack(len(text).to_bytes(8, "big") + text + block)


HANGS = {
    "unclosed strings": b'"' + b'\\"' * (MAX_DESCRIPTION // 2 - 8),
    "open brackets": b"[" * (MAX_DESCRIPTION - 8),
    "open lists": b'["list",[' * (MAX_DESCRIPTION // 9 - 8),
    "an integer": b"1" * (MAX_DESCRIPTION - 8),
    "many empty lists": b"[" + b"[]," * (MAX_DESCRIPTION // 3 - 8) + b"[]]",
}


@pytest.mark.parametrize("text", HANGS.values(), ids=HANGS)
def test_long_messages_are_refused_at_once(text):
    started = time.process_time()  # other tests may share the processor
    with pytest.raises(NotPlainError):
        unpack(message(text))
    assert time.process_time() - started < 2


@pytest.mark.parametrize("size", [0, MAX_DESCRIPTION, MAX_DESCRIPTION + 1, 2**64 - 1])
def test_a_declared_size_is_not_believed(size):
    with pytest.raises(NotPlainError):
        unpack(size.to_bytes(8, "big") + b"[]")


def test_a_message_that_is_too_large_is_not_read():
    with pytest.raises(NotPlainError, match="larger than is accepted"):
        unpack(bytes(2 * MAX_DESCRIPTION + MAX_TENSORS + 1))


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_random_bytes_are_refused(data):
    with pytest.raises(NotPlainError):
        unpack(data)


VALID = pack({"masks": {"fc1.weight": torch.ones(2, 3) > 0}, "n": (1, 0.5, None, "é")})


@given(
    st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), max_size=4),
    st.integers(0, len(VALID)),
)
@settings(max_examples=200, deadline=None)
def test_a_damaged_message_is_read_or_refused(changes, length):
    damaged = bytearray(VALID)
    for place, byte in changes:
        damaged[place] = byte
    with contextlib.suppress(NotPlainError):  # and nothing else
        value = unpack(bytes(damaged[:length] if length % 3 == 0 else damaged))
        assert same(value, unpack(pack(value)))


json_nodes = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.text(max_size=4),
        st.sampled_from(["bool", "int", "float", "str", "list", "tuple", "dict", "tensor", "Tool"]),
        st.sampled_from(["model", "NoneType", "0", "1e5", "random", "mlp"]),
    ),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=15,
)


@given(json_nodes, st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_description_is_read_or_refused(description, build):
    with contextlib.suppress(NotPlainError):  # and nothing else
        unpack(message(description, {"0": torch.ones(1)}), build)
