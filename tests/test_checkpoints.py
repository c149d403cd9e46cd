import os
import pickle
import re
import subprocess
import sys
from functools import partial

import pytest
import torch
from small_runs import TRAIN, VALIDATION, adam, make_data, make_model, needs_gpu, same
from torch import nn

from pruneedu.checkpoints import describe, load_checkpoint, save_checkpoint, write_whole
from pruneedu.training import cosine, fit, sgd


class Killed(BaseException):
    pass


class Killer:
    """A callback that interrupts the run at its n-th call, once."""

    def __init__(self, calls):
        self.calls = calls

    def __call__(self, model):
        self.calls -= 1
        if self.calls == 0:
            raise Killed


@pytest.mark.parametrize("where", ["after_epoch", "after_step"])
@pytest.mark.parametrize("optimizer", [sgd, adam, partial(adam, amsgrad=True)])
@pytest.mark.parametrize("kill_at", [1, 2, 5, 6])
def test_a_killed_run_ends_with_the_same_weights(tmp_path, where, optimizer, kill_at):
    options = {"optimizer": optimizer, "schedule": cosine, "batch_size": 40}
    options |= {"validation": VALIDATION, "patience": 5, "seed": 4}
    straight = fit(make_model(), TRAIN, 6, **options)
    options |= {where: Killer(kill_at), "checkpoint": tmp_path / "run.pt"}
    with pytest.raises(Killed):
        fit(make_model(), TRAIN, 6, **options)
    resumed = fit(make_model(), TRAIN, 6, **options)
    assert same(resumed.model, straight.model)
    assert resumed.history[:2] == straight.history[:2]
    assert os.listdir(tmp_path) == ["run.pt"]


def test_a_finished_run_is_not_trained_again(tmp_path):
    calls = []
    options = {"after_step": calls.append, "checkpoint": tmp_path / "run.pt"}
    first = fit(make_model(), TRAIN, 3, **options)
    calls.clear()
    again = fit(make_model(), TRAIN, 3, **options)
    assert calls == []
    assert same(first.model, again.model)
    assert first.history == again.history


def test_a_run_that_stopped_early_stays_stopped(tmp_path):
    path = tmp_path / "run.pt"
    model = nn.Linear(6, 2)
    still = partial(torch.optim.SGD, lr=0.0)
    options = {"optimizer": still, "validation": VALIDATION, "patience": 2, "checkpoint": path}
    histories = [fit(model, TRAIN, 9, **options).history for _ in range(2)]
    assert len(histories[0].loss) == 3
    assert histories[0] == histories[1]


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"epochs": 4}, "epochs"),
        ({"seed": 1}, "seed"),
        ({"batch_size": 64}, "batch_size"),
        ({"optimizer": partial(sgd, lr=0.3)}, "optimizer"),
        ({"optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.3)}, "optimizer"),
        ({"optimizer": adam}, "optimizer"),
        ({"schedule": cosine}, "schedule"),
        ({"penalty": partial(lambda model, strength: 0, strength=1.0)}, "penalty"),
        ({"after_step": lambda model: None}, "after_step"),
        ({"validation": VALIDATION}, "validation"),
        ({"train": make_data(seed=2)}, "train"),
        ({"model": make_model(seed=1)}, "model"),
        ({"model": make_model(dropout=0.1)}, "model"),
        ({"model": nn.Linear(6, 2)}, "model"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, changed, name):
    call = {"model": make_model(), "train": TRAIN, "epochs": 2, "checkpoint": tmp_path / "run.pt"}
    fit(**call)
    with pytest.raises(ValueError, match=f"run.pt is the checkpoint of another run: its {name} is"):
        fit(**call | changed)


def test_a_refused_checkpoint_shows_where_it_differs(tmp_path):
    path = tmp_path / "run.pt"
    fit(make_model(), TRAIN, 1, checkpoint=path, penalty=partial(_penalty, strength=0.5))
    with pytest.raises(ValueError, match=r"its penalty is _penalty\(.*strength=0.5\), this run"):
        fit(make_model(), TRAIN, 1, checkpoint=path, penalty=partial(_penalty, strength=0.25))
    with pytest.raises(ValueError, match=r"p=0\.4.*p=0\.1"):
        fit(make_model(dropout=0.1), TRAIN, 1, checkpoint=path)


def _penalty(model, strength):
    return strength * model[0].weight.square().sum()


def defined(body, prelude="", name="cell.py"):
    """Return the function `step` of a notebook's cell."""
    cell = {"torch": torch}
    exec(compile(f"{prelude}\n{body}", name, "exec"), cell)
    return cell["step"]


STEP = "def step(model, sparsity=0.5):\n    return sorted(model, key=lambda w: w * 2)"
AROUND = "def step(model):\n    return model * sparsity"
WITHIN = "def step(model):\n    return [w * sparsity for w in model]"
FACTORY = "def make(sparsity):\n    return lambda model: model * sparsity\n"
WRAPPED = "@torch.no_grad()\ndef step(model):\n    return model * 2"
COUNTS = "def step(model):\n    global count\n    count = count + 1"
ONE_OF = "def step(model):\n    return model in {'a', 'b', 'c', 'd'}"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((STEP,), (STEP, "\n\n", "elsewhere.py"), True),
        ((STEP,), (STEP.replace("* 2", "* 3"),), False),
        ((STEP,), (STEP.replace("sorted", "list"),), False),
        ((STEP,), (STEP.replace("0.5", "0.6"),), False),
        ((AROUND, "sparsity = 0.5"), (AROUND, "sparsity = 0.5"), True),
        ((AROUND, "sparsity = 0.5"), (AROUND, "sparsity = 0.6"), False),
        ((WITHIN, "sparsity = 0.5"), (WITHIN, "sparsity = 0.6"), False),
        (("step = make(0.5)", FACTORY), ("step = make(0.6)", FACTORY), False),
        ((WRAPPED,), (WRAPPED.replace("* 2", "* 3"),), False),
        ((COUNTS, "count = 0"), (COUNTS, "count = 7"), True),
        (("step = lambda model: model + 1",), ("step = lambda model: model + 2",), False),
    ],
)
def test_a_function_is_known_by_what_it_does(one, other, same):
    assert (describe(defined(*one)) == describe(defined(*other))) is same


def test_a_function_is_described_alike_in_every_process():
    code = f"from pruneedu.checkpoints import describe\n{ONE_OF}\nprint(describe(step))"
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
    assert re.fullmatch(r"step\(code [0-9a-f]{12}\)\n", said.pop())


def test_a_file_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"run\.pt cannot be written: No space left on device"):
        write_whole(path, b"new")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("run.pt", b"old")]


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("save", [pickle.dump, torch.save])
def test_a_checkpoint_that_runs_code_is_refused_unrun(tmp_path, save):
    path, trace = tmp_path / "run.pt", tmp_path / "trace"
    with path.open("wb") as file:
        save({"run": {}, "state": Bomb(str(trace))}, file)
    with pytest.raises(ValueError, match="not a checkpoint that can be read"):
        fit(make_model(), TRAIN, 1, checkpoint=path)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"[1, 2]"])
def test_a_broken_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "run.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"run\.pt is not a checkpoint that can be read"):
        fit(make_model(), TRAIN, 1, checkpoint=path)


def test_a_kill_while_writing_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    straight = fit(make_model(), TRAIN, 3)
    save, killer = torch.save, Killer(2)

    def cut_off(content, file):
        file.write(b"half of it")
        killer(None)
        file.seek(0)
        file.truncate()
        save(content, file)

    monkeypatch.setattr(torch, "save", cut_off)
    with pytest.raises(Killed):
        fit(make_model(), TRAIN, 3, checkpoint=path)
    assert len(torch.load(path, weights_only=True)["state"]["history"]["loss"]) == 1
    assert os.listdir(tmp_path) == ["run.pt"]
    assert same(fit(make_model(), TRAIN, 3, checkpoint=path).model, straight.model)


def test_a_complete_file_takes_the_place_of_the_old_one_in_one_step(tmp_path, monkeypatch):
    path, seen = tmp_path / "run.pt", []
    save_checkpoint(path, {}, {"epoch": 1})
    replace = os.replace

    def look(source, target):
        seen.append([load_checkpoint(file, {})["epoch"] for file in (source, target)])
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    save_checkpoint(path, {}, {"epoch": 2})
    assert seen == [[2, 1]]
    assert load_checkpoint(path, {}) == {"epoch": 2}


@pytest.mark.gpu
@needs_gpu
def test_fit_on_a_gpu_repeats_resumes_and_keeps_the_generators(tmp_path):
    train, validation = make_data(device="cuda"), make_data(30, seed=1, device="cuda")
    states = torch.get_rng_state(), torch.cuda.get_rng_state()
    options = {"validation": validation, "patience": 4, "optimizer": adam}
    straight = fit(make_model(device="cuda"), train, 4, **options)
    options |= {"after_epoch": Killer(3), "checkpoint": tmp_path / "run.pt"}
    with pytest.raises(Killed):
        fit(make_model(device="cuda"), train, 4, **options)
    resumed = fit(make_model(device="cuda"), train, 4, **options)
    assert same(straight.model, resumed.model)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(torch.cuda.get_rng_state(), states[1])
