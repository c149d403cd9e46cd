"""The records: the classic file, rows that are kept, and tables that say what the files are."""

import doctest
import json
from dataclasses import replace

import pytest
import torch

import pruneedu as pe
from benchmarks import common, han
from benchmarks.records import __main__ as records
from benchmarks.records import classic, rows
from pruneedu.data import Dataset, Split
from pruneedu.storage import contents_of, decode, encode, inspect, network

SHORT = replace(han.RECIPES[0], epochs=1, rounds=1, retraining=1, batch=32)
TINY = classic.Recipe("a, tiny one", SHORT, 20, 1, conv=8, linear=3, tuning=1, rate=1e-3)


@pytest.fixture
def mnist():
    generator = torch.Generator().manual_seed(0)
    images = Split(torch.rand(64, 1, 28, 28, generator=generator), torch.arange(64) % 10)
    return Dataset("mnist", images, images, images, tuple("0123456789"), "")


def sparse(build):
    torch.manual_seed(0)
    model = build()
    return pe.apply_masks(model, pe.keep_top(pe.magnitude(model), 0.95, scope="layer"))


def written(recipe, seed, mnist, cache):
    """A file of the dense network, in place of one that takes long to make."""
    torch.manual_seed(seed)
    return encode(contents_of(pe.models.build(recipe.network)), coder="huffman"), 2.5


def test_a_classic_file_holds_few_weights_of_few_values_in_huffman_codes(mnist, tmp_path):
    data, minutes = classic.make(TINY, 0, mnist, tmp_path / "records")
    assert minutes > han.cached_row(SHORT, 0, mnist.train, tmp_path / "han")["minutes"] > 0
    found = inspect(data)
    assert found.coder == "huffman"
    assert found.architecture[0] == "lenet_300_100"
    model = network(decode(data))
    assert han.ratio(model) == pytest.approx(20, abs=0.02)
    for weight in pe.prunable(model).values():
        assert len(weight[weight != 0].unique()) <= 7


def test_the_tuned_codebooks_differ_from_the_centroids_and_keep_their_labels(mnist):
    model = sparse(pe.models.lenet_300_100)
    tuned, plan = classic.shared(TINY, model, 0, mnist.train)
    before, start = classic.shared(replace(TINY, tuning=0), model, 0, mnist.train)
    assert torch.equal(tuned.fc1.weight, plan["fc1.weight"].decoded())
    assert torch.equal(plan["fc1.weight"].labels, start["fc1.weight"].labels)
    assert not torch.equal(tuned.fc1.weight, before.fc1.weight)


def test_convolutions_and_linear_layers_have_labels_of_their_own_bits(mnist):
    recipe = replace(TINY, conv=4, tuning=0)
    _, plan = classic.shared(recipe, sparse(pe.models.lenet5), 0, mnist.train)
    sizes = {name: len(book.values) for name, book in plan.items()}
    assert sizes == {"conv1.weight": 16, "conv2.weight": 16, "fc1.weight": 8, "fc2.weight": 8}


def test_a_row_in_the_cache_is_not_made_again_and_each_recipe_and_seed_has_its_own(mnist, tmp_path):
    row = rows.cached_row(written, TINY, 0, mnist, tmp_path)
    assert (row.path.read_bytes(), 2.5) == written(TINY, 0, mnist, tmp_path)
    assert row.measured()["minutes"] == 2.5
    assert rows.cached_row(None, TINY, 0, mnist, tmp_path) == row
    for recipe, seed in ((TINY, 1), (replace(TINY, tuning=2), 0)):
        with pytest.raises(TypeError):
            rows.cached_row(None, recipe, seed, mnist, tmp_path)


def test_an_interrupted_row_leaves_no_file(mnist, tmp_path):
    def interrupted(recipe, seed, mnist, cache):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rows.cached_row(interrupted, TINY, 0, mnist, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_error_is_that_of_the_file_and_read_once(mnist, tmp_path, monkeypatch, capsys):
    row = rows.cached_row(written, TINY, 3, mnist, tmp_path)
    monkeypatch.setattr(pe, "load", lambda name: mnist)
    rows.main(str(row.path), "test")
    torch.manual_seed(3)
    expected = 100 * (1 - pe.evaluate(pe.models.lenet_300_100(), mnist.test))
    printed = capsys.readouterr().out
    assert float(printed) == expected

    asked = []

    def answer(command, **options):
        asked.append(command[-2:])
        return rows.subprocess.CompletedProcess(command, 0, stdout=printed, stderr="")

    monkeypatch.setattr(rows.subprocess, "run", answer)
    assert [rows.error(row, "test") for _ in range(2)] == [expected, expected]
    assert asked == [[str(row.path), "test"]]
    assert json.loads(row.path.with_suffix(".json").read_text())["test"] == expected


def test_a_fresh_process_that_cannot_read_the_file_says_why(mnist, tmp_path):
    row = rows.cached_row(written, TINY, 0, mnist, tmp_path)
    row.path.write_bytes(b"PK")
    with pytest.raises(RuntimeError, match="no compressed network"):
        rows.error(row, "validation")


def test_the_tables_say_bytes_ratio_errors_and_components(mnist, tmp_path):
    found = [rows.cached_row(written, TINY, seed, mnist, tmp_path) for seed in (0, 1)]
    dense = {("lenet_300_100", 0): 1.5, ("lenet_300_100", 1): 2.0, ("lenet5", 0): 9.0}
    text = records.report({TINY: found}, {TINY: [1.0, 3.0]}, dense, "test")
    line = next(line for line in text.splitlines() if "**a, tiny one**" in line)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    sizes = [len(row.path.read_bytes()) for row in found]
    assert cells[2] == "266,200"
    assert cells[3] == f"{sum(sizes) / 2:,.0f} ({min(sizes):,}–{max(sizes):,})"
    assert cells[4] == f"{266_610 * 4 / (sum(sizes) / 2):.1f}"
    assert cells[5:7] == ["2.00 (1.00–3.00)", "1.75 (1.50–2.00)"]
    assert "27 KB" in text
    assert "MIRACLE" not in text  # No row of LeNet-5, so none of its papers.
    components = text.splitlines()[-1].strip("|").split("|")
    total = sum(float(cell.replace(",", "")) for cell in components[2:])
    assert total == pytest.approx(sum(sizes) / 2, abs=3)


def test_the_test_split_is_read_when_all_files_are_there(mnist, tmp_path, monkeypatch):
    told, way = [], classic
    monkeypatch.setattr(records, "WAYS", (way,))
    monkeypatch.setattr(way, "RECIPES", (TINY,))
    monkeypatch.setattr(way, "make", lambda *a: told.append("made") or written(*a))
    monkeypatch.setattr(records, "dense_network", lambda *a: pe.models.lenet_300_100())
    monkeypatch.setattr(records, "error", lambda row, split: told.append(split) or 1.0)
    records.full_run(mnist, tmp_path)
    assert told == ["made", "validation"] * 3 + ["test"] * 3


def test_a_quick_look_reads_validation_only(mnist, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(records, "WAYS", (classic,))
    monkeypatch.setattr(classic, "make", written)
    monkeypatch.setattr(records, "error", lambda row, split: told.append(split) or 1.0)
    assert "validation error" in records.quick_look(mnist, tmp_path)
    assert told == ["validation"]


def test_the_command_says_what_it_takes_and_its_doctests_hold(capsys):
    with pytest.raises(SystemExit) as end:
        records.main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("--quick", "--write", "--cache"))
    found = doctest.testmod(records)
    assert (found.attempted, found.failed) == (1, 0)


def test_the_readme_has_a_place_for_the_tables():
    text = common.README.read_text(encoding="utf-8")
    assert text.index("<!-- results:records -->") < text.index("<!-- /results:records -->")
