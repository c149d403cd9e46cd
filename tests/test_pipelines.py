"""A pipeline takes its steps in their order, goes on after a kill, and keeps what can be read."""

from functools import partial

import pytest
import torch
from small_runs import same
from torch import nn

import pruneedu as pe
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
        (model, [("prune", partial(prune, sparsity=0.5)), ("more", prune)]),
        (model, []),
        (lambda: pe.models.mlp(4, 2), [("prune", partial(prune, sparsity=0.5))]),
    ],
)
def test_the_folder_of_another_run_is_refused_at_once(tmp_path, start, steps):
    mine = [("prune", partial(prune, sparsity=0.5))]
    list(pipeline(model(), mine, EXAMPLE, folder=tmp_path))
    with pytest.raises(ValueError, match=r"is the folder of another run: it has .*name another"):
        pipeline(start(), steps, EXAMPLE, folder=tmp_path)


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


@pytest.mark.parametrize("step", [gelu, without_architecture, nn.Module.double])
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
