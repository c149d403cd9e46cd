"""A pipeline takes its steps in their order, goes on after a kill, and keeps what can be read."""

import copy
from functools import partial
from pathlib import Path

import pytest
import torch
from small_runs import same
from torch import nn

import pruneedu as pe
from pruneedu import cli
from pruneedu.data import Split
from pruneedu.pipelines import pipeline
from pruneedu.quantization import fold_batchnorm

EXAMPLE = torch.ones(4, 4)


class Killed(BaseException):
    pass


def model():
    made = pe.models.mlp(4, 3, 2)
    for i, tensor in enumerate(made.parameters()):
        tensor.data = torch.arange(1.0, tensor.numel() + 1).view_as(tensor) / (i + 1)
    return made


def prune(network, sparsity):
    return pe.apply_masks(network, pe.keep_top(pe.magnitude(network), sparsity))


def add(network, number):
    network = pe.models.build(*network.architecture[:1], **network.architecture[1])
    for old, new in zip(model().parameters(), network.parameters(), strict=True):
        new.data = old.data + number
    return network


def test_the_steps_are_taken_in_their_order_and_measured():
    steps = [("prune", partial(prune, sparsity=0.5)), ("add", partial(add, number=1.0))]
    done = list(pipeline(model(), steps, EXAMPLE))
    assert [(name, report.name, report.nonzeros) for name, _, report in done] == [
        ("prune", "prune", 23 - 9),
        ("add", "add", 23),
    ]
    turned = list(pipeline(model(), steps[::-1], EXAMPLE))
    assert [report.nonzeros for _, _, report in turned] == [23, 14]


def test_the_report_has_the_accuracy_on_the_data():
    always_1 = pe.models.mlp(4, 2)
    always_1.fc1.weight.data.zero_()
    always_1.fc1.bias.data = torch.tensor([0.0, 1.0])
    data = Split(EXAMPLE, torch.tensor([1, 1, 1, 0]))
    (done,) = pipeline(always_1, [("same", lambda network: network)], EXAMPLE, data)
    assert done.report.accuracy == 0.75


def test_a_killed_run_goes_on_after_the_last_finished_step(tmp_path):
    log = tmp_path / "log"

    def steps(kill):
        return [("one", Counted(log)), ("two", Counted(log, kill)), ("three", Counted(log))]

    straight = list(pipeline(model(), steps(False), EXAMPLE))
    log.unlink()
    with pytest.raises(Killed):
        list(pipeline(model(), steps(True), EXAMPLE, folder=tmp_path / "run"))
    resumed = list(pipeline(model(), steps(False), EXAMPLE, folder=tmp_path / "run"))
    assert log.read_text() == "take kill take take "  # the first was not taken again
    assert [done.name for done in resumed] == ["one", "two", "three"]
    for ours, theirs in zip(resumed, straight, strict=True):
        assert same(ours.model, theirs.model)
        assert ours.report.nonzeros == theirs.report.nonzeros
    again = list(pipeline(model(), steps(True), EXAMPLE, folder=tmp_path / "run"))
    assert same(again[-1].model, straight[-1].model)


class Counted:
    """A step that adds 1 and leaves a mark of each call."""

    def __init__(self, log, kill=False):
        self.log, self.kill = log, kill

    def __call__(self, network):
        with self.log.open("a") as file:
            file.write("kill " if self.kill else "take ")
        if self.kill:
            raise Killed
        state = {name: tensor + 1 for name, tensor in network.state_dict().items()}
        added = pe.models.mlp(4, 3, 2)
        added.load_state_dict(state)
        return added


@pytest.mark.parametrize(
    ("start", "steps"),
    [
        (model, [("prune", partial(prune, sparsity=0.25))]),
        (model, [("cut", partial(prune, sparsity=0.5))]),
        (model, [("prune", lambda network: prune(network, 0.5))]),
        (lambda: pe.models.mlp(4, 2), [("prune", partial(prune, sparsity=0.5))]),
    ],
)
def test_the_folder_of_another_run_is_refused_at_once(tmp_path, start, steps):
    mine = [("prune", partial(prune, sparsity=0.5))]
    list(pipeline(model(), mine, EXAMPLE, folder=tmp_path))
    with pytest.raises(ValueError, match=r"is the folder of another run: it has .*name another"):
        pipeline(start(), steps, EXAMPLE, folder=tmp_path)


HALF = ("half", partial(prune, sparsity=0.5))
MORE = ("more", partial(add, number=1.0))
LESS = ("less", partial(add, number=-1.0))


def taken(folder, *steps, start=None):
    return list(pipeline(model() if start is None else start, steps, EXAMPLE, folder=folder))


def test_a_step_more_at_the_end_goes_on_and_one_less_is_there(tmp_path):
    taken(tmp_path, HALF)
    written = (tmp_path / "step-1.pe").stat().st_mtime_ns
    longer = taken(tmp_path, HALF, MORE)
    assert (tmp_path / "step-1.pe").stat().st_mtime_ns == written
    assert same(longer[-1].model, add(model(), 1.0))
    assert [done.name for done in taken(tmp_path, HALF)] == ["half"]
    with pytest.raises(ValueError, match=r"of another run: it has \[more: .*where.*\[less: "):
        taken(tmp_path, HALF, LESS)


def test_another_body_under_the_same_name_is_another_run(tmp_path):
    def step(network):
        return add(network, 1.0)

    taken(tmp_path, ("step", step))

    def step(network):
        return add(network, 2.0)

    with pytest.raises(ValueError, match="is the folder of another run"):
        taken(tmp_path, ("step", step))


def of_another_run(folder):
    (folder / "run.txt").unlink()
    return [("half", partial(prune, sparsity=0.25)), MORE, LESS], "step-1.pe"


def one_for_the_other(folder):
    (folder / "step-3.pe").write_bytes((folder / "step-1.pe").read_bytes())
    return [HALF, MORE, LESS], "step-3.pe"


def another_network(folder):
    other = pe.storage.encode(pe.storage.contents_of(pe.models.mnist1d_mlp()))
    (folder / "step-2.pe").write_bytes(other)
    return [HALF, MORE, LESS], "step-2.pe"


def made_of_another(folder):
    """Step 1 is taken again, and this time comes out otherwise."""
    drawn = iter((1.0, 2.0))
    steps = [("drawn", lambda network: add(network, next(drawn))), HALF]
    taken(folder / "drawn", *steps)
    for path in (folder / "drawn").iterdir():
        path.replace(folder / path.name)
    (folder / "step-1.pe").unlink()
    return steps, "step-2.pe"


@pytest.mark.parametrize(
    "change", [of_another_run, one_for_the_other, another_network, made_of_another]
)
def test_a_file_that_is_not_of_this_step_is_refused(tmp_path, change):
    taken(tmp_path, HALF, MORE, LESS)
    steps, name = change(tmp_path)
    with pytest.raises(ValueError, match=rf"{name} is not what step .* delete it and the steps a"):
        taken(tmp_path, *steps)


def zeros(network):
    network.fc1.weight.data.zero_()
    return add(network, 1.0)


@pytest.mark.parametrize("in_folder", [False, True])
@pytest.mark.parametrize(
    ("step", "said"),
    [
        (zeros, "step 'z' changes the network that it is given"),
        (lambda network: None, "step 'z' returns None: expected the new network"),
        (lambda network: pe.models.mlp(5, 2), r"of step 'z' does not take the example \[4, 4\]"),
    ],
)
def test_a_step_that_is_none_is_named(tmp_path, in_folder, step, said):
    folder = tmp_path if in_folder else None
    with pytest.raises(ValueError, match=said):
        taken(folder, HALF, ("z", step))
    assert not (tmp_path / "step-2.pe").exists() or "take" in said


@pytest.mark.parametrize(
    ("steps", "example", "said"),
    [
        (iter([HALF]), EXAMPLE, "the steps are a list_iterator: give a list of pairs"),
        ([prune], EXAMPLE, r"step 1 is prune\(.*expected a pair of a name and a function"),
        ([HALF, ("more", None)], EXAMPLE, r"step 2 is \(more, None\): expected a pair"),
        ([HALF], torch.ones(4, 5), r"the given network does not take the example \[4, 5\]: mat1"),
    ],
)
def test_what_cannot_begin_is_said_before_the_first_step(tmp_path, steps, example, said):
    with pytest.raises(ValueError, match=said):
        pipeline(model(), steps, example, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "why"), [("no/run", "No such file"), ("file", "File exists")])
def test_a_folder_that_cannot_be_is_named(tmp_path, name, why):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match=f"the folder .*{name} cannot be made: {why}"):
        taken(tmp_path / name, HALF)


def test_a_damaged_step_is_named(tmp_path):
    steps = [("prune", partial(prune, sparsity=0.5))]
    list(pipeline(model(), steps, EXAMPLE, folder=tmp_path))
    path = tmp_path / "step-1.pe"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"step-1\.pe cannot be read: .*damaged; delete it"):
        list(pipeline(model(), steps, EXAMPLE, folder=tmp_path))


def gelu(network):
    network = pe.models.mlp(4, 3, 2)
    network.relu1 = nn.GELU()
    return network


def without_architecture(network):
    del network.architecture
    return network


def double(network):
    return copy.deepcopy(network).double()


def frozen(network):
    return copy.deepcopy(network).requires_grad_(False)


@pytest.mark.parametrize("step", [gelu, without_architecture, double, frozen])
def test_a_network_that_a_folder_would_change_is_refused(tmp_path, step):
    with pytest.raises(ValueError, match="step 'rewrite' cannot be kept in a folder"):
        list(pipeline(model(), [("rewrite", step)], EXAMPLE, folder=tmp_path))
    assert list(tmp_path.glob("step*")) == []


def test_batch_normalisation_is_kept_and_what_folds_it_is_not(tmp_path):
    cnn = pe.models.small_cnn((4,)).eval()
    image = torch.ones(2, 1, 8, 8)
    (done,) = pipeline(cnn, [("prune", partial(prune, sparsity=0.5))], image, folder=tmp_path)
    assert same(done.model, prune(cnn, 0.5))
    with pytest.raises(ValueError, match="step 'fold' cannot be kept"):
        list(pipeline(cnn, [("fold", fold_batchnorm)], image, folder=tmp_path / "fold"))
    (folded,) = pipeline(cnn, [("fold", fold_batchnorm)], image)
    assert isinstance(folded.model.bn1, nn.Identity)


def test_the_example_of_the_readme_makes_a_file_that_runs(tmp_path, monkeypatch, capsys):
    readme = Path(__file__).parents[1] / "README.md"
    section = readme.read_text("utf-8").partition("## Compress a network from the terminal")[2]
    code = section.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # The second goes on from the folder of the first.
        ran = {}
        exec(code, ran)
    rounded = pe.storage.network(pe.storage.decode(Path("mine.pe").read_bytes()))
    assert same(rounded, ran["model"])
    capsys.readouterr()
    assert cli.main(["run", "mine.pe"]) == 0
    right = pe.evaluate(rounded, pe.load("digits").test)
    assert f"mine.pe: {right:.2%} on the 300 test examples" in capsys.readouterr().out
    assert right > 0.8
