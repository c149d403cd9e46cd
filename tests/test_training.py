import random
import warnings
from functools import partial
from itertools import chain, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import TRAIN, VALIDATION, make_data, make_model, needs_gpu, same
from torch import nn
from torch.nn.functional import cross_entropy

from pruneedu.data import Split
from pruneedu.evaluation import evaluate
from pruneedu.training import constant, cosine, fit, sgd

# --- fit -----------------------------------------------------------------------------------------


def test_fit_trains_a_copy_and_returns_it_in_eval_mode():
    model = make_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trained, history = fit(model, TRAIN, 4, validation=VALIDATION)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training
    assert not any(module.training for module in trained.modules())
    assert not same(trained, model)
    assert [len(column) for column in history] == [4, 4, 4]
    assert history.loss[-1] < history.loss[0]
    assert history.validation[-1] == evaluate(trained, VALIDATION)
    assert min(history.seconds) > 0


def test_fit_with_one_batch_is_gradient_descent():
    model = nn.Linear(6, 2).double()
    train = Split(TRAIN.x.double(), TRAIN.y)
    weight, bias = (p.detach().clone().requires_grad_() for p in model.parameters())
    losses = []
    for _ in range(5):
        loss = cross_entropy(train.x @ weight.T + bias, train.y)
        losses.append(loss.item())
        slopes = torch.autograd.grad(loss, (weight, bias))
        weight, bias = (
            (p - 0.3 * slope).detach().requires_grad_()
            for p, slope in zip((weight, bias), slopes, strict=True)
        )
    plain = partial(torch.optim.SGD, lr=0.3)
    trained, history = fit(model, train, 5, optimizer=plain, batch_size=len(train.y))
    torch.testing.assert_close(trained.weight, nn.Parameter(weight))
    torch.testing.assert_close(trained.bias, nn.Parameter(bias))
    assert history.loss == pytest.approx(losses, rel=1e-5)


class Recorder(nn.Module):
    """A linear layer that remembers the first column of each batch."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 2)
        self.batches = []

    def forward(self, x):
        self.batches.append(x[:, 0].long().tolist())
        return self.fc(x / 10)


@given(rows=st.integers(1, 40), batch_size=st.integers(1, 45))
@settings(max_examples=25, deadline=None)
def test_each_epoch_shows_each_row_once(rows, batch_size):
    numbers = Split(torch.arange(float(rows))[:, None], torch.zeros(rows, dtype=torch.long))
    batches = fit(Recorder(), numbers, 2, batch_size=batch_size).model.batches
    steps = -(-rows // batch_size)
    assert len(batches) == 2 * steps
    for epoch in (batches[:steps], batches[steps:]):
        assert sorted(chain.from_iterable(epoch)) == list(range(rows))
        assert all(len(batch) == min(batch_size, rows) for batch in epoch[:-1])


def test_each_epoch_has_its_own_order():
    numbers = Split(torch.arange(40.0)[:, None], torch.zeros(40, dtype=torch.long))
    orders = fit(Recorder(), numbers, 3, batch_size=40).model.batches
    assert all(one != other for one, other in pairwise([list(range(40)), *orders]))


def test_history_is_the_mean_over_rows_without_the_penalty():
    model, frozen = nn.Linear(6, 2), partial(torch.optim.SGD, lr=0.0)
    expected = cross_entropy(model(TRAIN.x), TRAIN.y).item()
    # 70 rows in batches of 32: the last batch has 6 rows and may not count as much as the others.
    history = fit(
        model, TRAIN, 1, optimizer=frozen, batch_size=32, penalty=lambda m: m.weight.sum() * 100
    ).history
    assert history.loss == pytest.approx([expected], rel=1e-5)


def test_a_squared_penalty_equals_weight_decay():
    model = nn.Linear(6, 2, bias=False)
    penalised = fit(model, TRAIN, 3, penalty=lambda m: 0.05 * m.weight.square().sum()).model
    decayed = fit(model, TRAIN, 3, optimizer=partial(sgd, weight_decay=0.1)).model
    torch.testing.assert_close(penalised.weight, decayed.weight)
    assert not torch.allclose(decayed.weight, fit(model, TRAIN, 3).model.weight)


def test_loss_is_exchangeable():
    model = nn.Linear(6, 2)
    soft = Split(TRAIN.x, torch.nn.functional.one_hot(TRAIN.y, 2).float())
    hard, softened = fit(model, TRAIN, 2).model, fit(model, soft, 2).model
    torch.testing.assert_close(hard.weight, softened.weight)
    halved = fit(model, TRAIN, 2, loss=lambda logits, y: cross_entropy(logits, y) / 2)
    slower = fit(model, TRAIN, 2, optimizer=partial(sgd, lr=0.025))
    torch.testing.assert_close(halved.model.weight, slower.model.weight)


def test_after_step_runs_after_each_step_in_order():
    calls = []
    hooks = (lambda model: calls.append("first"), lambda model: calls.append("second"))
    fit(make_model(), TRAIN, 2, batch_size=32, after_step=hooks)
    assert calls == ["first", "second"] * 6
    calls.clear()
    fit(make_model(), TRAIN, 1, batch_size=32, after_step=hooks[0])
    assert calls == ["first"] * 3


def test_after_step_keeps_what_momentum_would_revive():
    model = nn.Linear(6, 2)

    @torch.no_grad()
    def clear_(model):
        model.weight[:, 3:] = 0

    kept = fit(model, TRAIN, 3, after_step=clear_).model
    clear_(model)
    revived = fit(model, TRAIN, 3).model
    assert torch.count_nonzero(kept.weight[:, 3:]) == 0
    assert torch.count_nonzero(revived.weight[:, 3:]) == 6


@pytest.mark.parametrize("yes", [True, np.True_, torch.tensor(True)])
def test_after_epoch_stops_the_run_with_true(yes):
    seen = []

    def after_epoch(model):
        seen.append(model)
        return yes if len(seen) == 2 else model

    assert len(fit(make_model(), TRAIN, 9, after_epoch=after_epoch).history.loss) == 2


def test_no_epochs_give_an_equal_copy():
    model = make_model()
    trained, history = fit(model, TRAIN, 0)
    assert same(trained, model)
    assert trained is not model
    assert history == ([], [], [])


def test_schedule_sets_the_rate_of_each_step():
    made, rates = [], []

    def keep(parameters):
        made.append(sgd(parameters, lr=0.2))
        return made[-1]

    def note(model):
        rates.append(made[-1].param_groups[0]["lr"])

    fit(make_model(), TRAIN, 2, optimizer=keep, schedule=cosine, batch_size=32, after_step=note)
    expected = 0.2 * (1 + np.cos(np.pi * np.arange(6) / 6)) / 2
    assert rates == pytest.approx(expected)
    rates.clear()
    fit(make_model(), TRAIN, 2, optimizer=keep, batch_size=32, after_step=note)
    assert rates == [0.2] * 6
    assert constant(0.3) == 1


# --- early stopping ------------------------------------------------------------------------------

SCORES = [0.25, 0.75, 0.5, 0.75, 0.5, 1.0]


def fit_scripted(epochs, **options):
    """Fit a model whose validation accuracy after epoch i is SCORES[i]."""
    validation = Split(torch.eye(4), torch.zeros(4, dtype=torch.long))
    model, epoch = nn.Linear(4, 2, bias=False), iter(range(epochs))

    @torch.no_grad()
    def after_epoch(model):
        i = next(epoch)
        right = torch.arange(4) < 4 * SCORES[i]
        model.weight.copy_((10 + i) * torch.stack([right.float(), (~right).float()]))

    still = partial(torch.optim.SGD, lr=0.0)
    options = {"validation": validation, "optimizer": still, "after_epoch": after_epoch} | options
    trained, history = fit(model, validation, epochs, **options)
    return trained.weight.max().item() - 10, history.validation


@pytest.mark.parametrize(
    ("patience", "epochs", "returned", "run"),
    [(1, 6, 1, 3), (2, 6, 1, 4), (3, 6, 1, 5), (4, 6, 5, 6), (9, 3, 1, 3), (None, 3, 2, 3)],
)
def test_early_stopping_returns_the_first_best_epoch(patience, epochs, returned, run):
    epoch, scores = fit_scripted(epochs, patience=patience)
    assert (epoch, scores) == (returned, SCORES[:run])


# --- reproducibility -----------------------------------------------------------------------------


def test_same_seed_same_weights_and_the_global_generators_stay():
    torch.manual_seed(5)
    state, draw = torch.get_rng_state(), random.getstate()
    first, again, other = (fit(make_model(), TRAIN, 3, seed=seed).model for seed in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == draw


def test_the_mode_of_the_given_model_changes_nothing():
    assert same(fit(make_model().eval(), TRAIN, 2).model, fit(make_model(), TRAIN, 2).model)


def test_what_the_caller_drew_before_changes_nothing():
    first = fit(make_model(), TRAIN, 2).model
    torch.rand(100)
    assert same(first, fit(make_model(), TRAIN, 2).model)


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train": Split(TRAIN.x, TRAIN.y[:-1])}, "70 rows in x and 69 labels in y"),
        ({"train": Split(TRAIN.x[:0], TRAIN.y[:0])}, "the split is empty"),
        ({"train": Split(TRAIN.x.to("meta"), TRAIN.y)}, r"different devices \(cpu, meta\)"),
        ({"validation": Split(TRAIN.x[:0], TRAIN.y[:0])}, "the split is empty"),
        ({"epochs": -1}, "epochs is -1; give a whole number of at least 0"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"patience": 2}, "patience is 2, but there is no validation split"),
        ({"patience": 0, "validation": VALIDATION}, "patience is 0"),
        (
            {"optimizer": partial(sgd, lr=1e38), "batch_size": 10},
            r"the training loss is .*lower the learning rate",
        ),
    ],
)
def test_fit_names_what_is_wrong(changed, message):
    with pytest.raises(ValueError, match=message):
        fit(**{"model": nn.Linear(6, 2), "train": TRAIN, "epochs": 2} | changed)


# --- progress ------------------------------------------------------------------------------------


def test_the_bar_shows_where_asked_and_is_gone_at_the_end(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(make_model(), TRAIN, 5, progress=True, after_epoch=lambda model: True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "0/5" in captured.err
    assert captured.err.split("\r")[-2:] == [" " * len(captured.err.split("\r")[-2]), ""]
    fit(make_model(), TRAIN, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.gpu
@needs_gpu
def test_a_model_on_the_cpu_and_data_on_a_gpu_are_refused():
    with pytest.raises(ValueError, match=r"different devices \(cpu, cuda:0\)"):
        fit(make_model(), make_data(device="cuda"), 1)
