"""The numbers of a report, against hand counts and independent tools."""

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra.numpy import arrays
from safetensors.torch import load_file, save_file
from sklearn.metrics import f1_score
from torch import nn

from pruneedu.costs import disk_bytes, macs, packed_bytes, peak_memory
from pruneedu.data import Split
from pruneedu.measuring import compare, measure
from pruneedu.models import lenet5, lenet_300_100
from pruneedu.reports import Comparison
from pruneedu.tables import Table, as_html, as_text
from pruneedu.timing import SpeedUp, Spread, compare_latency, latency

IMAGES = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def small_conv():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 10)
    )


# Work


@pytest.mark.parametrize(
    ("model", "by_hand"),
    [
        (lenet_300_100(), 784 * 300 + 300 * 100 + 100 * 10),
        (
            lenet5(),  # output pixels × filters × inputs of a filter, then the dense layers
            24 * 24 * 20 * 1 * 25 + 8 * 8 * 50 * 20 * 25 + 800 * 500 + 500 * 10,
        ),
        (small_conv(), 26 * 26 * 4 * 9 + 4 * 26 * 26 * 10),
    ],
    ids=["LeNet-300-100", "LeNet-5", "small"],
)
def test_macs_are_those_counted_by_hand(model, by_hand):
    assert macs(model, IMAGES[:1])[0] == by_hand
    assert macs(model, IMAGES[:3])[0] == 3 * by_hand


def test_module_types_without_counted_work_are_named():
    assert macs(small_conv(), IMAGES[:1])[1] == ("BatchNorm2d", "Flatten", "ReLU")
    assert macs(nn.Linear(3, 2), torch.ones(1, 3)) == (6, ())


# Bytes


def pack(values: np.ndarray) -> bytes:
    """Write the smallest of the three stores that `packed_bytes` counts."""
    kept = values != 0
    numbers = values[kept].tobytes()
    positions = np.flatnonzero(kept).astype(np.uint32).tobytes()
    stores = (values.tobytes(), numbers + np.packbits(kept).tobytes(), numbers + positions)
    return bytes([np.argmin([len(store) for store in stores])]) + min(stores, key=len)


def unpack(store: bytes, size: int) -> np.ndarray:
    kind, body = store[0], store[1:]
    if kind == 0:
        return np.frombuffer(body, np.float32)
    values = np.zeros(size, np.float32)
    if kind == 1:
        kept = np.unpackbits(
            np.frombuffer(body[len(body) - (size + 7) // 8 :], np.uint8), count=size
        )
        kept = kept.astype(bool)
        values[kept] = np.frombuffer(body[: 4 * kept.sum()], np.float32)
    else:
        half = len(body) // 2
        values[np.frombuffer(body[half:], np.uint32)] = np.frombuffer(body[:half], np.float32)
    return values


@given(arrays(np.float32, st.integers(1, 300), elements=st.sampled_from([0, 0, 0, 0.5, -2])))
def test_packed_bytes_are_those_of_a_store_that_gives_the_values_back(values):
    store = pack(values)
    assert np.array_equal(unpack(store, len(values)), values)
    assert (
        packed_bytes(torch.from_numpy(values)) == len(store) - 1
    )  # the byte that says which store


def test_few_nonzeros_are_packed_with_their_positions():
    values = torch.zeros(100_000)
    values[[7, 99_999]] = 1
    assert packed_bytes(values) == 2 * (4 + 4)


def test_disk_bytes_are_those_of_a_safetensors_file(tmp_path):
    model = small_conv()
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path)
    assert disk_bytes(model)[0] == path.stat().st_size
    assert load_file(path).keys() == model.state_dict().keys()


def test_zeros_shrink_only_the_deflated_file():
    model = lenet_300_100()
    disk, deflated = disk_bytes(model)
    with torch.no_grad():
        model.fc1.weight[torch.rand_like(model.fc1.weight) < 0.9] = 0
    sparse_disk, sparse_deflated = disk_bytes(model)
    assert sparse_disk == disk
    assert sparse_deflated < deflated / 2


def test_dense_bytes_hold_the_buffers_too():
    layers = 4 * (4 * 9 + 4) + 4 * (4 * 26 * 26 * 10 + 10)
    norm = 4 * (4 + 4 + 4 + 4) + 8  # weight, bias, running mean and variance; an int64 counter
    assert measure(small_conv(), IMAGES, repeats=4).dense_bytes == layers + norm


def test_peak_memory_holds_the_two_activations_that_live_together():
    widening = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.ReLU())
    one = IMAGES.numel() * 4
    assert peak_memory(nn.Sequential(nn.ReLU()), IMAGES) == one
    assert peak_memory(widening, IMAGES) == 2 * one


# The report


def test_parameters_and_nonzeros_agree_with_numpy():
    model = lenet5()
    with torch.no_grad():
        model.fc1.weight[torch.rand_like(model.fc1.weight) < 0.7] = 0
    report = measure(model, IMAGES, repeats=4)
    values = [parameter.detach().numpy() for parameter in model.parameters()]
    assert report.parameters == 431_080 == sum(value.size for value in values)
    assert report.nonzeros == sum(np.count_nonzero(value) for value in values)
    assert report.packed_bytes == sum(len(pack(value.ravel())) - 1 for value in values)


def test_quality_agrees_with_sklearn():
    model, generator = lenet_300_100(), torch.Generator().manual_seed(1)
    data = Split(torch.rand(200, 1, 28, 28, generator=generator), torch.arange(200) % 10)
    report = measure(model, IMAGES, data, repeats=4)
    predicted = model(data.x).argmax(1)
    assert report.accuracy == pytest.approx((predicted == data.y).float().mean().item())
    expected = f1_score(data.y, predicted, average="macro", zero_division=0)
    assert report.macro_f1 == pytest.approx(expected)


def test_the_model_is_left_as_it_was():
    model = small_conv()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    measure(model, IMAGES, Split(IMAGES, torch.zeros(6, dtype=torch.long)), repeats=4)
    assert [module.training for module in model] == [True, False, True, True, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_latency_is_given_at_batch_one_and_at_the_examples_batch():
    assert list(measure(small_conv(), IMAGES, repeats=4).latency) == [1, 6]
    assert list(measure(small_conv(), IMAGES[:1], repeats=4).latency) == [1]


@pytest.mark.parametrize("example", [torch.ones(3), torch.ones(0, 1, 28, 28), [1.0]])
def test_what_is_no_batch_is_refused(example):
    with pytest.raises(ValueError, match=r"expected a batch \[N, …\]"):
        measure(nn.Linear(3, 2), example)


def test_another_device_is_refused():
    with pytest.raises(ValueError, match="example is on meta and weight on cpu"):
        measure(nn.Linear(3, 2), torch.ones(1, 3, device="meta"))


# Two reports


def reports_of(dense, other, **changes):
    """Two reports whose latencies are set by hand."""
    report = measure(lenet_300_100(), IMAGES, repeats=4)
    return (
        replace(report, name="dense", latency={1: dense}),
        replace(report, name="other", latency={1: other}, **changes),
    )


LATENCY = "ms per pass, batch 1: median (quartiles)"


def test_a_faster_model_gains_its_factor():
    before, after = reports_of(Spread(3e-3, 4e-3, 5e-3), Spread(1e-3, 2e-3, 2.5e-3))
    assert after.versus(before).gains()[LATENCY] == 2
    assert "2.00× faster" in str(after.versus(before))
    assert "2.00× slower" in str(before.versus(after))


def test_a_latency_within_the_noise_is_no_gain():
    before, after = reports_of(Spread(3e-3, 4e-3, 5e-3), Spread(1e-3, 2e-3, 3e-3))
    comparison = after.versus(before)
    assert comparison.gains()[LATENCY] is None
    assert str(comparison).splitlines()[-3].endswith("none")


def test_counted_gains_are_factors():
    before, after = reports_of(Spread(1, 1, 1), Spread(1, 1, 1), nonzeros=26_661, macs=0)
    gains = after.versus(before).gains()
    assert gains["nonzero parameters"] == pytest.approx(10, rel=1e-3)
    assert gains["parameters"] == gains["bytes on disk (safetensors)"] == 1
    assert gains["MACs per example"] == float("inf")


@pytest.mark.parametrize("change", [{"batch": 7}, {"device": "GPU"}, {"examples": 5}])
def test_reports_of_unlike_measurements_are_not_compared(change):
    before, after = reports_of(Spread(1, 1, 1), Spread(1, 1, 1), **change)
    with pytest.raises(ValueError, match=f"other has {next(iter(change))}"):
        after.versus(before)


def test_quality_is_compared_in_points():
    before, after = (
        replace(report, accuracy=accuracy, macro_f1=accuracy, examples=300)
        for report, accuracy in zip(
            reports_of(Spread(1, 1, 1), Spread(1, 1, 1)), (0.97, 0.955), strict=True
        )
    )
    text = str(after.versus(before))
    assert "97.00 % ± 0.98" in text  # √(0.97 · 0.03 / 300)
    assert "-1.50 points" in text
    assert "accuracy" not in " ".join(after.versus(before).gains())


def test_paired_timings_decide_where_there_are_any():
    before, after = reports_of(Spread(3e-3, 4e-3, 5e-3), Spread(1e-3, 2e-3, 2.5e-3))
    real = Comparison(before, after, {1: SpeedUp(Spread(1.2, 1.5, 1.7))})
    noise = Comparison(before, after, {1: SpeedUp(Spread(0.9, 1.5, 1.7))})
    assert real.gains()[LATENCY] == 1.5
    assert noise.gains()[LATENCY] is None


def test_compare_times_both_models_in_turn_at_both_batch_sizes():
    comparison = compare(lenet5(), lenet_300_100(), IMAGES, names=("conv", "dense"), repeats=4)
    assert list(comparison.speedups) == [1, 6]
    assert (comparison.before.name, comparison.after.name) == ("conv", "dense")
    assert "timed in turn" in str(comparison)


# Time


def test_a_smaller_network_is_found_faster():
    wide = nn.Sequential(*(nn.Linear(600, 600) for _ in range(4)))
    speedup = compare_latency(wide, nn.Linear(600, 10), torch.ones(64, 600))
    assert speedup.ratio.median > 2


def test_a_model_is_no_faster_than_itself():
    model = lenet_300_100()
    assert compare_latency(model, model, IMAGES, repeats=100).within_noise


@given(st.lists(st.floats(1e-6, 1), min_size=4, max_size=40))
def test_spread_is_numpys_quartiles(sample):
    spread = Spread.of(sample)
    expected = np.quantile(sample, [0.25, 0.5, 0.75])
    assert (spread.low, spread.median, spread.high) == pytest.approx(expected)


def test_too_few_timings_are_refused():
    with pytest.raises(ValueError, match="repeats is 3; quartiles need at least 4"):
        latency(nn.Linear(2, 2), torch.ones(1, 2), repeats=3)
    with pytest.raises(ValueError, match="repeats is 0"):
        compare_latency(nn.Linear(2, 2), nn.Linear(2, 2), torch.ones(1, 2), repeats=0)


# Tables


def test_text_is_aligned():
    lines = str(measure(lenet_300_100(), IMAGES, repeats=4, name="LeNet")).splitlines()
    table = [line for line in lines if line.startswith("  ")]
    assert len(table) >= 10
    assert len({len(line) for line in table}) == 1
    assert "  parameters " in str(lines)
    assert lines[-1] == "MACs leave out biases, Flatten, ReLU."


def test_html_is_escaped_and_its_headings_have_a_scope():
    from bs4 import BeautifulSoup

    report = measure(nn.Linear(4, 2), torch.ones(2, 4), repeats=4, name="<b>&")
    page = BeautifulSoup(report._repr_html_(), "html.parser")
    assert page.b is None
    assert page.table.caption.text.startswith("<b>& on CPU")
    assert {heading["scope"] for heading in page.find_all("th")} == {"col", "row", "rowgroup"}
    first = page.find("th", string="parameters").parent
    assert first.td.text == "10"


@given(st.text(alphabet="<>&\"'aé", max_size=8))
def test_any_cell_comes_back_from_html_as_it_was(cell):
    from html.parser import HTMLParser

    seen = []
    parser = HTMLParser()
    parser.handle_data = seen.append
    parser.feed(as_html(Table("", ("", ""), [("", ("", cell))], [])))
    parser.close()
    assert "".join(seen) == cell


def test_groups_keep_their_order():
    table = Table("T", ("", "n"), [("A", ("x", "1")), ("A", ("y", "22")), ("B", ("z", "3"))], [])
    assert as_text(table).splitlines() == [
        "T",
        "       n",
        "A",
        "  x    1",
        "  y   22",
        "B",
        "  z    3",
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_measured_and_named():
    model, example = small_conv().cuda(), IMAGES.cuda()
    report = measure(model, example)
    assert report.device == torch.cuda.get_device_name()
    assert report.macs == measure(small_conv(), IMAGES).macs
    assert report.peak_bytes >= 6 * 4 * 26 * 26 * 4
