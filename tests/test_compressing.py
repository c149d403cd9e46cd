"""Compressing from the terminal: a file that runs alone, a run that goes on, errors that help."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import pruneedu as pe
from pruneedu import cli, compressing
from pruneedu.checkpoints import describe
from pruneedu.compressing import Recipe, compress, grids
from pruneedu.data import Split
from pruneedu.quantization import to_floats, to_integers
from pruneedu.running import state_from
from pruneedu.storage import contents_of, decode, eighth_power, encode, network

QUICK = ["compress", "mlp", "digits", "--epochs=2", "--sparsity=0.8", "--bits=5", "--out"]
RECIPE = Recipe("mlp", "digits", sparsity=0.8, bits=5, epochs=2)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The file of a run without a stop, and its lines."""
    out = tmp_path_factory.mktemp("straight") / "small.pe"
    lines = list(compress(RECIPE, out))
    return out, lines


def test_the_file_holds_what_was_asked_for(straight):
    contents = decode(straight[0].read_bytes())
    weights = [contents.tensors[f"fc{i}.weight"].integers for i in (1, 2)]
    assert sum(int(w.count_nonzero()) for w in weights) <= round(0.2 * (64 * 64 + 640))
    assert max(int(part.integers.abs().max()) for part in contents.tensors.values()) <= 15
    assert (contents.architecture, contents.plan) == (
        ("mlp", {"sizes": (64, 64, 10)}),
        {"data": "digits"},
    )


def test_a_line_after_each_step_and_the_file_at_the_end(straight, capsys):
    out, lines = straight
    assert [line.split(":")[0] for line in lines] == ["train", "prune", "quantize", str(out)]
    assert "on the 300 test examples of digits" in lines[-1]
    assert cli.main(["run", str(out)]) == 0
    assert capsys.readouterr().out == f"{lines[-1]}\n"


def test_run_counts_what_the_file_alone_makes(straight, capsys):
    out, _ = straight
    model, test = network(decode(out.read_bytes())), pe.load("digits").test
    right = int((model(test.x).argmax(1) == test.y).sum())
    nonzeros = sum(int((tensor != 0).sum()) for tensor in model.state_dict().values())
    cli.main(["run", str(out), "--data", "digits"])
    said = capsys.readouterr().out
    assert f"{right / 300:.2%}" in said
    assert f"{out.stat().st_size:,} bytes, {nonzeros:,} parameters" in said
    assert right > 100  # 30 by chance


def test_a_killed_command_goes_on(tmp_path, monkeypatch, straight):
    out, steps = tmp_path / "small.pe", tmp_path / "small.pe.steps"
    with monkeypatch.context() as patch:
        patch.setattr(compressing, "freeze_incrementally", killed)
        with pytest.raises(Killed):
            cli.main([*QUICK, str(out)])
    written = [(path.name, path.stat().st_mtime_ns) for path in sorted(steps.glob("step*"))]
    assert [name for name, _ in written] == ["step-1.pe", "step-2.pe"]
    assert not out.exists()
    assert cli.main([*QUICK, str(out)]) == 0
    assert all((steps / name).stat().st_mtime_ns == when for name, when in written)
    assert out.read_bytes() == straight[0].read_bytes()


class Killed(BaseException):
    pass


def killed(*arguments, **options):
    raise Killed


def test_the_folder_of_another_run_is_refused(tmp_path, straight, capsys):
    status = cli.main([*QUICK, str(straight[0]), "--seed", "1"])
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert "is the folder of another run" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("command", ["run", "inspect"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("flip.pe", "the checksum does not fit"),
        ("cut.pe", "the checksum does not fit"),
        ("empty.pe", "it starts with b''"),
        ("zip.pe", "it starts with b'PK"),
        ("missing.pe", "No such file or directory"),
        ("folder", "Is a directory"),
    ],
)
def test_what_is_no_compressed_file_is_refused_by_name(
    tmp_path, straight, capsys, command, name, said
):
    good = straight[0].read_bytes()
    (tmp_path / "flip.pe").write_bytes(flipped(good))
    (tmp_path / "cut.pe").write_bytes(good[:50])
    (tmp_path / "empty.pe").write_bytes(b"")
    (tmp_path / "zip.pe").write_bytes(b"PK\x03\x04")
    (tmp_path / "folder").mkdir()
    assert cli.main([command, str(tmp_path / name)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"pruneedu: {tmp_path / name} cannot be read: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def test_a_file_without_a_network_can_be_inspected_only(tmp_path, capsys):
    file = tmp_path / "layer.pe"
    file.write_bytes(encode(contents_of(torch.nn.Linear(2, 2))))
    assert cli.main(["run", str(file)]) == 2
    assert "layer.pe cannot be read: it names no network" in capsys.readouterr().err
    assert cli.main(["inspect", str(file)]) == 0


@pytest.mark.parametrize(
    ("plan", "words", "said"),
    [
        ({}, [], "names no data set: say which with --data"),
        ({"data": 3}, [], "names no data set"),
        ({"data": "no such set"}, [], "There is no data set 'no such set'"),
        ({"data": "digits"}, ["--data", "fashion-mini"], "does not take the examples of fashion-"),
    ],
)
def test_a_file_without_its_data_set_is_refused_in_a_sentence(tmp_path, capsys, plan, words, said):
    file = tmp_path / "small.pe"
    file.write_bytes(encode(contents_of(pe.models.mlp(64, 10), plan=plan)))
    assert cli.main(["run", str(file), *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pe"])
def test_a_checkpoint_takes_the_place_of_training(tmp_path, suffix):
    start, folder = tmp_path / f"start{suffix}", tmp_path / "small.pe.steps"
    pe.seed_everything(3)
    model = pe.models.mlp(64, 64, 10)
    if suffix == ".pe":
        start.write_bytes(encode(contents_of(model)))
    else:
        (save_file if suffix == ".safetensors" else torch.save)(model.state_dict(), start)
    lines = compress(Recipe("mlp", "digits", epochs=1), tmp_path / "small.pe", start)
    assert next(lines).startswith("prune: ")
    assert describe(model) in (folder / "run.txt").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sparsity", "1.5"], "sparsity is 1.5"),
        (["--sparsity", "1"], "sparsity is 1.0: of 4,736 weights none is left"),
        (["--bits", "1"], "bits is 1: give a whole number from 2 to 8"),
        (["--epochs", "0"], "epochs is 0"),
        (["--seed", "-1"], "seed is -1: give a whole number from 0 to 2**32 - 1"),
        (["--seed", str(2**32)], "seed is 4294967296: give a whole number from 0 to 2**32 - 1"),
        (["--from", "missing.pt"], "missing.pt cannot be read: No such file"),
        (["--from", "text.pt"], "text.pt cannot be read: it is damaged, or no file of weights"),
        (["--from", "text.safetensors"], "text.safetensors cannot be read: it is damaged, or no"),
        (["--from", "flip.pe"], "flip.pe cannot be read: the checksum does not fit"),
        (["--from", "number.pt"], "number.pt cannot be read: 'a' in it is int, no tensor; save"),
        (["--from", "list.pt"], "list.pt cannot be read: it holds list, no dict of tensors; save"),
        (["--from", "whole.pt"], "whole.pt cannot be read: it holds more than tensors, such as a"),
        (["--from", "nan.pt"], "nan.pt cannot be read: 'fc1.bias' in it holds NaN or infinity"),
        (["--from", "other.pt"], "other.pt does not fit this network at 'fc1.weight'"),
        (["--out", "thesis.tex"], "thesis.tex is there, and is no compressed file: name another"),
        (["--out", "folder"], "folder is a folder: name a file in it, such as folder/small.pe"),
        (["--out", "."], ". is a folder: name a file in it"),
        (["--out", "/"], "/ is a folder: name a file in it"),
        (["--out", "no/such/small.pe"], "there is no folder no/such for no/such/small.pe: make it"),
        (["--out", "thesis.tex/small.pe"], "there is no folder thesis.tex for thesis.tex/small.pe"),
        (["--out", "/dev/null"], "/dev/null is there, and is no compressed file"),
        (["--out", "taken.pe"], "the folder taken.pe.steps cannot be made: File exists"),
    ],
)
def test_what_cannot_be_done_is_said_before_training(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    model = pe.models.mlp(64, 10)
    for name in ("text.pt", "text.safetensors", "thesis.tex", "taken.pe.steps"):
        Path(name).write_text("no weights")
    Path("folder").mkdir()
    Path("flip.pe").write_bytes(flipped(encode(contents_of(model))))
    state = model.state_dict()
    nan = {**state, "fc1.bias": torch.full((10,), torch.nan)}
    kept = {"number": {"a": 1}, "list": [1], "whole": model, "nan": nan, "other": state}
    for name, value in kept.items():
        torch.save(value, f"{name}.pt")
    before = sorted(tmp_path.rglob("*"))
    assert cli.main([*QUICK, "small.pe", *words]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert sorted(tmp_path.rglob("*")) == before
    assert Path("thesis.tex").read_text() == "no weights"


@pytest.mark.parametrize("closed", ["closed", "closed/small.pe"])
def test_a_place_that_cannot_be_written_is_said_before_training(
    tmp_path, monkeypatch, straight, closed
):
    (tmp_path / "closed").mkdir()
    out = tmp_path / "closed" / "small.pe"
    out.write_bytes(straight[0].read_bytes())
    # The superuser, who may run this test, can write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / closed)
    with pytest.raises(ValueError, match=f"{closed} cannot be written: name another place"):
        next(compress(RECIPE, out))


def test_a_compressed_file_is_replaced(tmp_path, straight):
    out = tmp_path / "small.pe"
    out.write_bytes(encode(contents_of(pe.models.mlp(4, 2))))
    shutil.copytree(compressing.steps_folder(straight[0]), compressing.steps_folder(out))
    list(compress(RECIPE, out))
    assert out.read_bytes() == straight[0].read_bytes()


@pytest.mark.parametrize("kept", [False, True])
def test_an_interrupt_says_how_to_go_on_where_something_is_kept(
    tmp_path, monkeypatch, capsys, kept
):
    out, trained = tmp_path / "small.pe", compressing.fit

    def interrupted(*arguments, **options):
        if not kept or compressing.steps_folder(out).joinpath("step-1.pe").exists():
            raise KeyboardInterrupt
        return trained(*arguments, **options)

    monkeypatch.setattr(compressing, "fit", interrupted)
    assert cli.main([*QUICK, str(out)]) == 130
    said = f"pruneedu: the same command goes on from {out}.steps\n"
    assert capsys.readouterr().err == (said if kept else "")


@pytest.mark.parametrize(("name", "said"), [("vgg", "choose one of"), ("lenet5", "does not take")])
def test_a_network_that_does_not_fit_the_data_is_refused(tmp_path, name, said):
    with pytest.raises(ValueError, match=said):
        next(compress(Recipe(name, "digits"), tmp_path / "small.pe"))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_grid_reaches_the_largest_entry_and_little_more(bits):
    pe.seed_everything(bits)
    model = pe.models.mlp(30, 20, 5)
    for name, grid in grids(model, bits).items():
        tensor, reach = model.get_parameter(name).detach(), grid.scale * grid.highest
        assert tensor.abs().max() <= reach * (1 + 1e-6)
        assert reach <= tensor.abs().max() * 2 ** (1 / 8) * (1 + 1e-6)
        error = (to_floats(to_integers(tensor, grid), grid) - tensor).abs().max()
        assert error <= grid.scale / 2 * (1 + 1e-6)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_layer_on_a_grid_keeps_its_grid(bits):
    layer, most = torch.nn.Linear(1, 1), 2 ** (bits - 1) - 1
    for k in range(-100, 60):
        step = torch.tensor(eighth_power(k))
        torch.nn.init.constant_(layer.weight, float(step * most))
        assert grids(layer, bits)["weight"].scale == step


@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
@pytest.mark.parametrize("make", [torch.Tensor.to_sparse, lambda w: w.to("meta"), lambda w: w + 1j])
def test_a_start_that_is_no_plain_tensor_is_refused(tmp_path, make):
    model, path = pe.models.mlp(4, 2), tmp_path / "start.pt"
    state = model.state_dict()
    torch.save(state | {"fc1.weight": make(state["fc1.weight"])}, path)
    with pytest.raises(ValueError, match=r"'fc1\.weight' in it is torch.* expected a dense tensor"):
        state_from(path, model)


def test_a_layer_without_a_weight_left_still_has_a_grid():
    model = pe.models.mlp(4, 2)
    torch.nn.init.zeros_(model.fc1.weight)
    assert grids(model, 4)["fc1.weight"].scale > 0


def test_convolutions_and_batch_normalisation_end_in_a_file_too(tmp_path, monkeypatch):
    monkeypatch.setattr(compressing, "load", few)
    lines = list(compress(Recipe("small_cnn", "digits", epochs=1), tmp_path / "small.pe"))
    assert "parameters not zero" in lines[-1]
    kinds = {
        name: type(part).__name__
        for name, part in decode((tmp_path / "small.pe").read_bytes()).tensors.items()
    }
    assert kinds["conv1.weight"] == "Quantized"
    assert kinds["bn1.running_mean"] == "Plain"


def few(name):
    data = pe.load(name)
    return replace(data, train=Split(data.train.x[:64], data.train.y[:64]))
