"""Distillation: gradients by hand, losses by another way, and students of every make."""

import copy
import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy, softmax

from pruneedu.data import Split
from pruneedu.distillation import (
    Watched,
    attention,
    attention_map,
    born_again,
    distillation,
    feature_distillation,
    hint,
    relational,
    soft_targets,
    teach,
)
from pruneedu.evaluation import evaluate
from pruneedu.models import mlp, small_cnn
from pruneedu.pruning import apply_masks, apply_masks_, keep_top, magnitude
from pruneedu.quantization import convert, plan_grids, straight_through, weight_ranges
from pruneedu.regularization import with_dropout
from pruneedu.sharing import codebooks, finetune_codebooks
from pruneedu.tensors import prunable, sparsity
from pruneedu.training import fit, sgd

logits = st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=3)


def data(rows=240, seed=0):
    """Return points in 8 dimensions with 4 classes, a tenth of the labels wrong."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 8, generator=generator)
    y = x[:, :4].argmax(1)
    return Split(x, torch.where(torch.rand(rows, generator=generator) < 0.1, (y + 1) % 4, y))


@pytest.fixture(scope="module")
def teacher():
    torch.manual_seed(0)
    return fit(mlp(8, 64, 4), data(rows=2000, seed=1), epochs=5).model


# --- teach ---------------------------------------------------------------------------------------


def test_the_teacher_speaks_in_eval_mode_and_stays_as_it_was(teacher):
    model = with_dropout(teacher, 0.5)
    model.train()
    before = copy.deepcopy(model.state_dict())
    taught = teach(model, data(), batch_size=7)
    assert model.training
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    assert not taught.y.requires_grad
    assert taught.y[:, 0].long().equal(data().y)
    torch.testing.assert_close(taught.y[:, 1:], teacher(data().x), rtol=0, atol=1e-5)
    assert torch.equal(taught.x, data().x)


def test_a_layer_stands_beside_the_logits(teacher):
    taught = teach(teacher, data(), "relu1")
    assert taught.y.shape == (240, 1 + 4 + 64)
    torch.testing.assert_close(taught.y[:, 5:], teacher.relu1(teacher.fc1(data().x)))
    model, x = small_cnn((3, 5), classes=4).eval(), torch.randn(6, 1, 8, 8)
    taught = teach(model, Split(x, torch.arange(6) % 4), "relu1", attention_map)
    torch.testing.assert_close(taught.y[:, 5:], attention_map(model[:3](x)))


def test_what_cannot_be_taught_is_refused(teacher):
    with pytest.raises(ValueError, match=r"y is torch\.float32 of shape \(240, 5\): teach a split"):
        teach(teacher, teach(teacher, data()))
    with pytest.raises(ValueError, match="no module 'conv1': its modules are 'flatten', 'fc1'"):
        teach(teacher, data(), "conv1")
    with pytest.raises(ValueError, match="batch_size is 0: give a whole number"):
        teach(teacher, data(), batch_size=0)
    for wrong in (4, -1):
        labels = data().y.clone()
        labels[7] = wrong
        for layer in (None, "relu1"):
            with pytest.raises(ValueError, match=f"labels run from .*{wrong}.* has 4 classes"):
                teach(teacher, Split(data().x, labels), layer)
    with pytest.raises(ValueError, match="generations is -1: give a whole number of at least 0"):
        born_again(teacher, data(), -1, lambda taught, generation: teacher)
    broken = copy.deepcopy(teacher)
    broken.fc1.weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="the teacher's outputs hold NaN"):
        teach(broken, data())


@pytest.mark.parametrize(
    ("last", "found"),
    [
        (nn.Flatten(0), r"\[960\]"),
        (nn.Unflatten(1, (4, 1)), r"\[240, 4, 1\]"),
        (nn.GRU(4, 4), "tup"),
    ],
)
@pytest.mark.parametrize("layer", [None, "0"])
def test_a_teacher_without_logits_for_each_class_is_refused(teacher, last, found, layer):
    with pytest.raises(ValueError, match=f"the teacher's outputs are {found}.*with logits"):
        teach(nn.Sequential(teacher, last), data(), layer)


# --- soft targets --------------------------------------------------------------------------------


@given(student=logits, teacher=logits, T=st.floats(0.5, 20))
@settings(max_examples=60, deadline=None)
def test_soft_targets_follow_the_formula(student, teacher, T):
    p = [math.exp(z / T) for z in teacher]
    q = [math.exp(z / T) for z in student]
    p, q = ([value / sum(row) for value in row] for row in (p, q))
    expected = T**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    found = soft_targets(torch.tensor([student]), torch.tensor([teacher]), T).item()
    assert found == pytest.approx(expected, rel=1e-3, abs=T**2 * 1e-6)
    assert found >= -(T**2) * 1e-6


@pytest.mark.parametrize("T", [1.0, 5.0])
def test_the_gradient_is_t_times_the_difference_of_probabilities(T):
    student, teacher = torch.randn(5, 4, dtype=torch.double, requires_grad=True), torch.randn(5, 4)
    soft_targets(student, teacher.double(), T).backward()
    expected = T * (softmax(student / T, 1) - softmax(teacher.double() / T, 1)) / len(teacher)
    torch.testing.assert_close(student.grad, expected)


def test_a_high_temperature_compares_centred_logits():
    # Hinton's limit: T²·KL -> Σ (z_S - z_T)² / 2C, both with mean zero.
    student, teacher = (torch.randn(6, 4, dtype=torch.double) for _ in range(2))
    centred = [z - z.mean(1, keepdim=True) for z in (student, teacher)]
    expected = (centred[0] - centred[1]).square().sum(1).mean() / (2 * 4)
    torch.testing.assert_close(soft_targets(student, teacher, 1e3), expected, rtol=1e-2, atol=0)


def test_alpha_mixes_the_teacher_and_the_labels():
    z, y = torch.randn(6, 4), torch.cat([torch.arange(6)[:, None] % 4, torch.randn(6, 4)], dim=1)
    labels, soft = cross_entropy(z, torch.arange(6) % 4), soft_targets(z, y[:, 1:], 2.0)
    torch.testing.assert_close(distillation(z, y, 2.0, alpha=0.0), labels)
    torch.testing.assert_close(distillation(z, y, 2.0, alpha=1.0), soft)
    torch.testing.assert_close(distillation(z, y, 2.0, alpha=0.7), 0.7 * soft + 0.3 * labels)


def test_a_loss_without_what_it_needs_is_refused():
    z, y = torch.randn(6, 4), torch.zeros(6, 5)
    with pytest.raises(ValueError, match="without a teacher's logits: train on teach"):
        distillation(z, torch.zeros(6))
    with pytest.raises(ValueError, match=r"logits are \[6, 3\] and the teacher's \[6, 4\]"):
        distillation(z[:, :3], y)
    for empty in (torch.ones(0, 4), torch.ones(4)):
        with pytest.raises(ValueError, match="both need a row for each example and a column"):
            soft_targets(empty, empty, temperature=1.0)
    for temperature in (0, -1, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"temperature is {temperature}: give a finite"):
            distillation(z, y, temperature=temperature)
    with pytest.raises(ValueError, match="alpha is 2"):
        distillation(z, y, alpha=2)


def test_fit_refuses_the_loss_of_a_student_that_says_nan(teacher):
    student = mlp(8, 4)
    student.fc1.weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="the training loss is nan"):
        fit(student, teach(teacher, data()), epochs=1, loss=distillation)


# --- students ------------------------------------------------------------------------------------


def by_hand(student, train):
    return train(student)


def pruned(student, train):
    masks = keep_top(magnitude(student), 0.5)
    tuned = train(apply_masks(student, masks), after_step=partial(apply_masks_, masks=masks))
    assert sum(int((w == 0).sum()) for w in prunable(tuned).values()) == round(
        sparsity(masks) * sum(w.numel() for w in prunable(tuned).values())
    )
    return tuned


def quantized(student, train):
    grids = plan_grids(weight_ranges(student), bits=4)
    return convert(train(straight_through(student, grids)))[0]


def shared(student, train):
    return finetune_codebooks(student, codebooks(student, 8), train)[0]


@pytest.mark.parametrize("make", [by_hand, pruned, quantized, shared])
def test_every_student_learns_from_the_teacher_alone(teacher, make):
    taught = teach(teacher, data())
    # Labels that are all wrong: at alpha = 1 nobody reads them.
    taught.y[:, 0] = (taught.y[:, 0] + 2) % 4
    torch.manual_seed(1)
    student = mlp(8, 12, 4)
    loss = partial(distillation, temperature=2.0, alpha=1.0)
    options = {"epochs": 15, "loss": loss, "batch_size": 32, "optimizer": partial(sgd, lr=0.02)}
    trained = make(student, lambda model, **more: fit(model, taught, **options, **more).model)
    assert (
        evaluate(trained, Split(data().x, teacher(data().x).argmax(1))) > 0.6
    )  # By chance 0.25, by the labels less.


def test_each_of_a_line_learns_from_the_one_before(teacher):
    heard = []

    def student(taught, generation):
        heard.append((generation, taught.y[:, 1:]))
        torch.manual_seed(generation)
        return fit(mlp(8, 12, 4), taught, epochs=2, loss=distillation, seed=generation).model

    first, second = born_again(teacher, data(), 2, student)
    assert [generation for generation, _ in heard] == [1, 2]
    torch.testing.assert_close(heard[0][1], teacher(data().x))
    torch.testing.assert_close(heard[1][1], first(data().x))
    assert not torch.equal(first.fc1.weight, second.fc1.weight)


# --- features ------------------------------------------------------------------------------------


def test_a_hint_draws_the_layer_to_the_teachers_and_adapt_is_thrown_away(teacher):
    taught = teach(teacher, data(), "relu1")
    torch.manual_seed(1)
    watched = Watched(mlp(8, 12, 4), "relu1", adapt=nn.Linear(12, 64))
    before = copy.deepcopy(watched.state_dict())
    stage = fit(watched, taught, 8, loss=lambda outputs, y: hint(outputs[1], y[:, 5:]))
    assert stage.history.loss[-1] < 0.9 * stage.history.loss[0]
    assert torch.equal(stage.model.model.fc2.weight, before["model.fc2.weight"])
    assert not torch.equal(stage.model.model.fc1.weight, before["model.fc1.weight"])
    assert all(torch.equal(watched.state_dict()[name], before[name]) for name in before)

    loss = partial(feature_distillation, match=hint)
    fitted = fit(stage.model, taught, 8, loss=loss, validation=data())
    student = fitted.model.model
    assert list(student.state_dict()) == list(mlp(8, 12, 4).state_dict())
    assert evaluate(student, data()) == fitted.history.validation[-1]


@pytest.mark.parametrize("match", [hint, relational])
def test_features_add_their_loss_with_their_strength(match):
    z, f = torch.randn(6, 4), torch.randn(6, 3)
    y = torch.cat([torch.arange(6)[:, None] % 4, torch.randn(6, 7)], dim=1)
    found = feature_distillation((z, f), y, match, strength=3.0, temperature=2.0, alpha=0.5)
    expected = distillation(z, y[:, :5], 2.0, 0.5) + 3 * match(f, y[:, 5:])
    torch.testing.assert_close(found, expected)


def test_attention_does_not_see_channels_nor_scale():
    features = torch.randn(5, 6, 4, 4)
    maps = attention_map(features)
    torch.testing.assert_close(maps.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(attention_map(3 * features[:, torch.randperm(6)]), maps)
    expected = (features[2] ** 2).sum(0).flatten()
    torch.testing.assert_close(maps[2], expected / expected.norm())
    assert attention(features, maps).item() == 0
    # Maps are positive vectors of length 1, so they are at most √2 apart.
    assert 0 < attention(torch.randn(5, 2, 4, 4), maps) <= 2


@given(
    angle=st.floats(0, 6), scale=st.floats(0.1, 10), shift=st.floats(-5, 5), rows=st.integers(3, 6)
)
@settings(max_examples=30, deadline=None)
def test_relations_do_not_see_rotation_scale_and_shift(angle, scale, shift, rows):
    rows = torch.randn(rows, 2, dtype=torch.double, generator=torch.Generator().manual_seed(rows))
    c, s = math.cos(angle), math.sin(angle)
    moved = scale * rows @ torch.tensor([[c, -s], [s, c]], dtype=torch.double) + shift
    wider = torch.cat([moved, torch.ones(len(rows), 3)], dim=1)
    assert relational(wider, rows).item() == pytest.approx(0, abs=1e-12)


def test_relations_by_hand():
    # Distances 1, 3, 2 with mean 2, against 1, 1, 1: differences 0.5, 0.5, 0.
    features = torch.tensor([[0.0], [1.0], [3.0]])
    triangle = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(0.75)]])
    assert relational(features, triangle).item() == pytest.approx(2 * 0.5**2 / 2 / 3)
    same = torch.ones(3, 2, requires_grad=True)
    relational(same, triangle).backward()
    assert torch.isfinite(same.grad).all()
    assert relational(features[:1], triangle[:1]).item() == 0


@pytest.mark.parametrize(
    ("match", "features", "message"),
    [
        (hint, torch.ones(2, 3), "3 values for each example and the teacher 16: adapt"),
        (attention, torch.ones(2, 3, 2, 2), "4 values .* the teacher 16: teach with summary"),
        (attention, torch.ones(2, 3), r"features of shape \[2, 3\] have no positions"),
        (hint, torch.ones(3, 16), r"features are \[3, 16\] and the teacher's \[2, 16\]: both need"),
        (hint, torch.ones(2), r"features are \[2\] and the teacher's \[2, 16\]: both need a row"),
        (
            attention,
            torch.ones(3, 1, 16),
            r"\[3, 16\] and the teacher's \[2, 16\]: both need a row",
        ),
        (relational, torch.ones(1, 16), r"\[1, 16\] and the teacher's \[2, 16\]: both need a row"),
    ],
)
def test_features_that_do_not_fit_are_refused(match, features, message):
    with pytest.raises(ValueError, match=message):
        match(features, torch.ones(2, 16))
    with pytest.raises(ValueError, match="no module 'relu7'"):
        Watched(mlp(4, 3, 2), "relu7")


@pytest.mark.parametrize("match", [hint, attention, relational])
def test_a_teacher_that_told_nothing_of_a_layer_is_refused(match):
    with pytest.raises(ValueError, match=r"the teacher's \[2, 0\]: both need .* teach\(…, layer\)"):
        match(torch.ones(2, 3, 4), torch.ones(2, 0))
