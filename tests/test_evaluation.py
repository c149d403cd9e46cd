import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pruneedu.data import Split
from pruneedu.evaluation import accuracy, eval_mode, evaluate, macro_f1

SPLIT = Split(torch.randn(70, 6, generator=torch.Generator().manual_seed(0)), torch.arange(70) % 2)


def make_model():
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2)
    )


@given(batch_size=st.integers(1, 80))
@settings(max_examples=15, deadline=None)
def test_evaluate_does_not_depend_on_the_batch_size(batch_size):
    model = make_model()
    with eval_mode(model), torch.no_grad():
        expected = (model(SPLIT.x).argmax(1) == SPLIT.y).float().mean().item()
    assert evaluate(model, SPLIT, batch_size=batch_size) == pytest.approx(expected)
    assert evaluate(model, SPLIT, macro_f1, batch_size) == evaluate(model, SPLIT, macro_f1)


@pytest.mark.parametrize("breaks", [False, True])
def test_evaluate_gives_each_module_its_mode_back(breaks):
    model = make_model()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    during = []

    def metric(logits, y):
        during.append((logits.requires_grad, logits))
        if breaks:
            raise KeyError("inside")
        return 1.0

    if breaks:
        with pytest.raises(KeyError, match="inside"):
            evaluate(model, SPLIT, metric)
        with pytest.raises(RuntimeError):
            evaluate(model, Split(SPLIT.x[:, :3], SPLIT.y))
    else:
        assert evaluate(model, SPLIT, metric) == 1.0
    assert during[0][0] is False
    assert [module.training for module in model.modules()] == modes
    assert model[1].num_batches_tracked == 0


@given(data=st.data(), classes=st.integers(2, 6), rows=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_metrics_agree_with_scikit_learn(data, classes, rows):
    from sklearn.metrics import accuracy_score, f1_score

    label = st.integers(0, classes - 1)
    y, guesses = (data.draw(st.lists(label, min_size=rows, max_size=rows)) for _ in range(2))
    logits = torch.nn.functional.one_hot(torch.tensor(guesses), classes).float()
    assert accuracy(logits, torch.tensor(y)) == pytest.approx(accuracy_score(y, guesses))
    assert macro_f1(logits, torch.tensor(y)) == pytest.approx(f1_score(y, guesses, average="macro"))


@pytest.mark.parametrize("metric", [accuracy, macro_f1])
@pytest.mark.parametrize(
    ("logits", "y", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(3, dtype=torch.long), r"\[2, 3\] and y has shape \[3\]"),
        (torch.zeros(2), torch.zeros(2, dtype=torch.long), r"logits have shape \[2\]"),
        (torch.zeros(2, 3), torch.zeros(2, 1, dtype=torch.long), r"y has shape \[2, 1\]"),
        (torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), "the same N > 0"),
        (torch.zeros(2, 3), torch.tensor([0, 3]), "from 0 to 3; expected integers from 0 to 2"),
        (torch.zeros(2, 3), torch.tensor([-1, 2]), "from -1 to 2"),
        (torch.zeros(2, 3), torch.tensor([0.0, 1.0]), r"float32 labels .* expected integers"),
        (torch.tensor([[0.0], [torch.nan]]), torch.tensor([0, 0]), r"logits\[1\] holds a NaN"),
    ],
)
def test_metrics_name_what_is_wrong(metric, logits, y, message):
    with pytest.raises(ValueError, match=message):
        metric(logits, y)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (Split(SPLIT.x[:0], SPLIT.y[:0]), "the split is empty"),
        (Split(SPLIT.x, SPLIT.y[1:]), "70 rows in x and 69 labels in y"),
        (Split(SPLIT.x, SPLIT.y.to("meta")), r"different devices \(cpu, meta\)"),
    ],
)
def test_evaluate_names_what_is_wrong(split, message):
    with pytest.raises(ValueError, match=message):
        evaluate(make_model(), split)
