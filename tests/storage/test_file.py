"""The compressed file: any contents come back bit for bit, and its bytes are accounted for."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pruneedu.models import lenet5, lenet_300_100, mlp, small_cnn
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
    network,
)

CODERS = pytest.mark.parametrize("coder", ["arithmetic", "huffman"])
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)
FEW = settings(max_examples=30, deadline=None)


def finite(dtype):
    limits = {"float16": 16, "float32": 32, "float64": 64}
    width = limits[np.dtype(dtype).name]
    return st.just(0.0) | st.floats(allow_nan=False, allow_infinity=False, width=width)


ANY_ARRAY = st.one_of(
    [arrays.arrays(dtype, SHAPES, elements=finite(dtype)) for dtype in ("f2", "f4", "f8")]
    + [arrays.arrays(dtype, SHAPES) for dtype in ("i1", "u1", "i2", "i4", "i8", "?")]
)


def same(part, other):
    """Tell whether two parts have the same fields, bit for bit."""
    assert type(part) is type(other)
    for name, field in vars(part).items():
        theirs = getattr(other, name)
        if isinstance(field, torch.Tensor):
            assert (theirs.dtype, theirs.shape) == (field.dtype, field.shape)
            assert theirs.numpy().tobytes() == field.contiguous().numpy().tobytes()
        else:
            assert theirs == field
    assert torch.equal(part.dense(), other.dense())


def round_trip(parts, coder, **more):
    data = encode(Contents(parts, **more), coder)
    read = decode(data)
    assert list(read.tensors) == list(parts)
    for name, part in parts.items():
        same(part, read.tensors[name])
    assert sum(inspect(data).sizes) == len(data)
    return data


@CODERS
@FEW
@given(array=ANY_ARRAY)
def test_any_array_comes_back(coder, array):
    round_trip({"w": Plain(torch.from_numpy(np.array(array)))}, coder)


@st.composite
def quantized(draw):
    dtype = draw(st.sampled_from(["i1", "u1", "i2", "i4"]))
    integers = draw(arrays.arrays(dtype, st.sampled_from([(), (4,), (4, 6), (2, 3, 2, 2), (4, 0)])))
    if draw(st.booleans()):
        integers = integers % 3
    ranks = [()] if not integers.ndim else [(), integers.shape[:1], (integers.shape[0], 2)]
    ranks = [rank for rank in ranks if integers.size % int(np.prod(rank, dtype=int)) == 0]
    rank = draw(st.sampled_from(ranks))
    steps = st.floats(2**-20, 2.0**20, width=32) | st.integers(-80, 80).map(eighth_power)
    scale = torch.from_numpy(draw(arrays.arrays("f4", rank, elements=steps)))
    zeros = draw(st.sampled_from(["none", "i4", "f4"]))
    if zeros == "none":
        zero_point = torch.zeros(rank, dtype=torch.int32)
    else:
        elements = (
            st.integers(-(2**31), 2**31 - 1)
            if zeros == "i4"
            else finite("f4").map(lambda x: np.float32(x / 2**60))
        )
        zero_point = torch.from_numpy(draw(arrays.arrays(zeros, rank, elements=elements)))
    return Quantized(torch.from_numpy(np.array(integers)), scale, zero_point)


@CODERS
@FEW
@given(part=quantized())
def test_any_grid_comes_back(coder, part):
    round_trip({"w": part, "again": part}, coder)


@st.composite
def shared(draw):
    dtype, k = draw(st.sampled_from(["u1", "i4", "i8"])), draw(st.integers(1, 9))
    if draw(st.booleans()):
        labels = draw(arrays.arrays(dtype, SHAPES, elements=st.integers(0, k - 1)))
        book = draw(arrays.arrays("f4", k, elements=finite("f4")))
        return Shared(torch.from_numpy(np.array(labels)), torch.from_numpy(book))
    labels = draw(arrays.arrays(dtype, (4, 3), elements=st.integers(0, k - 1)))
    book = draw(arrays.arrays("f2", (3, k, 2), elements=finite("f2")))
    return Shared(torch.from_numpy(labels), torch.from_numpy(book), shape=(4, 3, 2))


@CODERS
@FEW
@given(part=shared())
def test_any_codebook_comes_back(coder, part):
    round_trip({"w": part}, coder)


PLANS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**61), 2**61) | st.text(max_size=5) | finite("f8"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@FEW
@given(plan=st.dictionaries(st.text(max_size=3), PLANS, max_size=3))
def test_any_plan_comes_back(plan):
    read = decode(encode(Contents({}, plan=plan))).plan
    assert read == plan
    assert repr(read) == repr(plan)  # A tuple stays a tuple, and -0.0 is not 0.


@pytest.mark.parametrize(
    "model",
    [mlp(5, 4, 3), small_cnn((3, 4), classes=2), lenet5(classes=7), lenet_300_100(inputs=9)],
    ids=lambda model: model.architecture[0],
)
def test_a_network_comes_back(model):
    data = encode(contents_of(model), "huffman")
    fresh = network(decode(data))
    assert fresh.architecture == model.architecture
    for name, tensor in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor)


def sparse_lenet(seed=0, kept=0.02):
    """Return LeNet-300-100 with crowded survivors on a coarse grid, and the parts of its file."""
    torch.manual_seed(seed)
    model, parts = lenet_300_100(), {}
    for name, weight in model.state_dict().items():
        step = torch.tensor(eighth_power(-28))
        if name.endswith("weight"):
            crowd = torch.rand(weight.shape[0], 1) ** 3 * torch.rand(1, weight.shape[1]) ** 3
            alive = (
                crowd > crowd.flatten().quantile(1 - kept)
                if crowd.numel() < 9e4
                else (crowd > crowd.flatten()[::7].quantile(1 - kept))
            )
            integers = (torch.randn(weight.shape) * 2).round().clamp(-7, 7) * alive
        else:
            integers = torch.zeros_like(weight)
        parts[name] = Quantized(integers.char(), step, torch.tensor(0).int())
    return model, parts


def entropy_bits(counts):
    counts = counts[counts > 0].astype(float)
    return float(-(counts * np.log2(counts / counts.sum())).sum())


def test_labels_of_a_byte_look_up_256_entries():
    book = torch.arange(256.0)
    labels = torch.arange(256).to(torch.uint8)
    assert torch.equal(Shared(labels, book).dense(), book)
    with pytest.raises(ValueError, match="from 0 to 255, but the codebook has entries 0 to 254"):
        Shared(labels, book[:-1])


def test_the_arithmetic_code_is_below_the_order_zero_entropy():
    model, parts = sparse_lenet()
    data = round_trip(parts, "arithmetic", architecture=model.architecture)
    bits = sum(
        entropy_bits(np.unique(part.integers.numpy(), return_counts=True)[1])
        for part in parts.values()
    )
    assert len(data) < 0.75 * bits / 8
    sizes = inspect(data).sizes
    assert sizes.header < 40
    assert sizes.codebooks == 0  # All steps are eighth powers of 2.


def test_a_fresh_process_decodes_a_fresh_network(tmp_path):
    model, parts = sparse_mlp()
    (tmp_path / "small.pe").write_bytes(encode(Contents(parts, model.architecture)))
    program = (
        "import sys, torch; from pathlib import Path; from pruneedu.storage import decode, network;"
        "net = network(decode(Path(sys.argv[1]).read_bytes()));"
        "torch.save(net.state_dict(), sys.argv[2])"
    )
    files = [str(tmp_path / "small.pe"), str(tmp_path / "read.pt")]
    subprocess.run([sys.executable, "-c", program, *files], check=True, env=os.environ)
    read = torch.load(files[1], weights_only=True)
    assert set(read) == set(parts)
    assert all(torch.equal(read[name], part.dense()) for name, part in parts.items())


def test_factors_travel_with_the_ranks_that_they_need():
    thin = torch.nn.Sequential(torch.nn.Linear(6, 2, bias=False), torch.nn.Linear(2, 5))
    contents = contents_of(thin, plan={"ranks": {"fc1": 2}})
    read = decode(encode(contents))
    fresh = torch.nn.Sequential(torch.nn.Linear(6, 2, bias=False), torch.nn.Linear(2, 5))
    network(read, fresh)
    assert read.plan == {"ranks": {"fc1": 2}}
    assert torch.equal(fresh(torch.ones(1, 6)), thin(torch.ones(1, 6)))
    with pytest.raises(ValueError, match="names no network that can be built, as after a rewrite"):
        network(read)
    with pytest.raises(
        ValueError, match=r"do not fit .* 'weight' is missing in .* \(2, 2\)"
    ) as error:
        network(read, torch.nn.Linear(2, 2))
    assert "\n" not in str(error.value)


def test_sizes_are_those_of_the_floats_and_integers():
    parts = {
        "w": Plain(torch.ones(3, 5)),
        "s": Shared(torch.zeros(2, 2).char(), torch.tensor([0.0, 1.0, 2.0])),
        "b": Plain(torch.ones(4, dtype=torch.float64)),
    }
    report = inspect(encode(Contents(parts)))
    assert report.sizes[1:4] == (3 * 5 * 4, 3 * 4, 4 * 8)
    assert [row.nonzeros for row in report.rows] == [15, 0, 4]
    assert "3 × 5" in str(report)
    assert "shared" in report._repr_html_()


def test_the_header_of_lenet_is_tens_of_bytes():
    zeros = {
        name: Quantized(torch.zeros(t.shape).char(), torch.tensor(0.5), torch.tensor(0).int())
        for name, t in lenet5().state_dict().items()
    }
    assert len(encode(Contents(zeros, lenet5().architecture))) < 50


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Plain(torch.tensor([torch.nan])), "NaN or infinity"),
        (lambda: Plain(torch.tensor([torch.inf])), "NaN or infinity"),
        (lambda: Quantized(torch.ones(3).char(), torch.tensor(0.0), torch.tensor(0).int()), "step"),
        (lambda: Quantized(torch.ones(3).char(), torch.ones(2), torch.zeros(2)), "part 3 integers"),
        (lambda: Quantized(torch.ones(3).char(), torch.tensor(3e38), torch.tensor(-9.0)), "finite"),
        (lambda: Shared(torch.tensor([0, 2]), torch.zeros(2)), "labels run from 0 to 2"),
        (lambda: Shared(torch.tensor([0, 1]), torch.zeros(2, 2)), "make no tensor"),
        (lambda: Shared(torch.tensor([0]), torch.tensor([torch.nan])), "NaN or infinity"),
        (lambda: encode(Contents({}, ("vgg", {}))), "the architecture is 'vgg'"),
        (lambda: encode(Contents({}, ("lenet5", {}))), "the architecture is 'lenet5'"),
        (lambda: encode(Contents({}, plan={"a": float("nan")})), "holds nan"),
        (lambda: encode(Contents({}), coder="zip"), "choose 'arithmetic' or 'huffman'"),
        (lambda: encode(Contents({"w": Plain(torch.zeros(1100, 1000))})), "can be read"),
        (
            lambda: contents_of(mlp(2, 2), {"w": Plain(torch.zeros(2))}),
            "no tensor 'w' .* 'fc1.bias",
        ),
        (
            lambda: with_bias(torch.zeros(2), torch.zeros(3)),
            r"float32 of shape \(3,\), but the mod",
        ),
        (lambda: with_bias(torch.zeros(2), torch.zeros(2).double()), "decodes to torch.float64"),
        (lambda: with_bias(torch.tensor([1.0, 2]), torch.tensor([1.0, 3])), "to 1 numbers of 2"),
    ],
)
def test_what_no_file_can_hold_is_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def with_bias(bias, part):
    """Return the contents of a network with this bias and a part for it."""
    model = mlp(2, 2)
    model.fc1.bias.data = bias
    return contents_of(model, {"fc1.bias": Plain(part)})


def test_a_part_that_decodes_to_the_tensor_takes_its_place():
    contents = with_bias(torch.tensor([0.0, 3.0]), torch.tensor([-0.0, 3.0]))
    assert contents.tensors["fc1.bias"].dense().signbit().tolist() == [True, False]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: decode("q.pe"), "a str: give its bytes, such as Path"),
        (lambda: decode(Path("q.pe")), "PosixPath: give its bytes|WindowsPath: give its bytes"),
        (lambda: inspect("q.pe"), "a str: give its bytes"),
        (lambda: network(b"PK"), r"a bytes: give what decode\(data\) returns"),
        (lambda: encode(mlp(2, 2)), r"a Sequential: give what contents_of\(model\) returns"),
        (lambda: contents_of(mlp(2, 2), {"fc1.bias": torch.ones(2)}), "'fc1.bias' is a Tensor"),
        (lambda: Contents({"w": torch.ones(2)}), r"'w' is a Tensor: .* such as Plain\(tensor\)"),
    ],
)
def test_a_mistaken_kind_of_thing_is_named_with_what_to_give(make, match):
    with pytest.raises(TypeError, match=match) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
@pytest.mark.parametrize("given", [None, torch.float64, torch.float16])
def test_numbers_go_into_a_network_unrounded_or_not_at_all(dtype, given):
    torch.manual_seed(0)
    model = mlp(3, 2).to(dtype)
    read = decode(encode(contents_of(model)))
    wanted, target = given or torch.float32, given and mlp(3, 2).to(given)
    if torch.finfo(wanted).bits < torch.finfo(dtype).bits:
        with pytest.raises(ValueError, match=f"'fc1.weight' is {dtype} in the file but {wanted}"):
            network(read, target)
        return
    for name, tensor in network(read, target).state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name].to(wanted))


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="complex64"):
        Plain(torch.zeros(2, dtype=torch.complex64))
    with pytest.raises(TypeError, match=r"integers are torch\.float32"):
        Quantized(torch.zeros(2), torch.tensor(1.0), torch.tensor(0).int())
    with pytest.raises(TypeError, match="plain data"):
        encode(Contents({}, plan={"a": object()}))


def test_an_infinite_weight_is_named():
    model = mlp(2, 2)
    model.fc1.bias.data[0] = torch.inf
    with pytest.raises(ValueError, match=r"'fc1\.bias' cannot be stored"):
        contents_of(model)


VERSION_ONE = {
    "arithmetic": (
        "d570650181adecd10210000106030320030c0306011f011f0e031e003c922e16b043349fcc792b37"
        "817f146fd2de6625eba9cc3e51d718d1a7000000000000c0bf00002040cdcccc3d"
    ),
    "huffman": (
        "d57065015744fd0b0310000106030320030c0306011f011f0e031e17050500040402041010840ceb"
        "e226232217080907020202040202020c30c30c30c318f885672f18a745e802020100080410400202"
        "01070e04104004030100080208108098040101020400010101020400010101020400000000000000"
        "c0bf00002040cdcccc3d"
    ),
}


@CODERS
def test_files_of_version_one_stay_readable(coder):
    """Files that were written once: if this fails, version 2 has begun."""
    model, parts = sparse_mlp()
    contents = decode(bytes.fromhex(VERSION_ONE[coder]))
    assert contents.architecture == model.architecture
    for name, part in parts.items():
        same(part, contents.tensors[name])


def sparse_mlp():
    """Return a small network and parts of its file, made without a random generator."""
    model, parts = mlp(16, 6, 3), {}
    for name, weight in model.state_dict().items():
        places = torch.arange(weight.numel()).reshape(weight.shape)
        integers = torch.where(places * 7 % 11 < 3, places * 5 % 9 - 4, 0)
        parts[name] = Quantized(integers.char(), torch.tensor(0.25), torch.tensor(0).int())
    labels = (parts["fc2.weight"].integers != 0).long() * 2
    parts["fc2.weight"] = Shared(labels, torch.tensor([0.0, -1.5, 2.5]))
    parts["fc2.bias"] = Plain(torch.tensor([0.0, 0.1, 0.0]))
    return model, parts


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "starts with b''"),
        (b"\x80\x04\x95", "starts with"),
        (b"\xd5pe\x02" + bytes(20), "version 02"),
        (b"\xd5pe\x01", "damaged"),
    ],
)
def test_foreign_files_are_named(data, match):
    with pytest.raises(DamagedFile, match=match):
        decode(data)
