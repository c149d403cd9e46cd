"""The benchmarks' arithmetic, tables and caches, on small inputs. No time is judged here."""

import doctest
import importlib
from functools import partial

import pytest
import torch

from benchmarks import (
    ablation,
    common,
    criteria,
    csr,
    distillation,
    grading,
    grading_exercise,
    han,
    import_time,
    integer,
    pruning_speed,
)
from benchmarks.grading_rivals import Graded
from pruneedu import models, pruning
from pruneedu.course.judging import check
from pruneedu.data import Dataset, Split

COMMANDS = (
    ablation,
    criteria,
    csr,
    distillation,
    grading,
    han,
    import_time,
    integer,
    pruning_speed,
)
TINY = han.Recipe("lenet_300_100", 1, 2, 1, rate=0.05, decay=0.0, batch=32, scope="global")


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(64, 1, 28, 28, generator=generator)
    return Split(x, torch.arange(64) % 10)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda module: module.__name__)
def test_each_command_says_what_it_takes(command, capsys):
    with pytest.raises(SystemExit) as end:
        command.main(["--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0
    assert command.__doc__.splitlines()[0][:30] in said
    assert "--write" in said
    assert "--quick" in said


@pytest.mark.parametrize(
    "name", ["common", "criteria", "csr", "distillation", "grading_exercise", "han"]
)
def test_doctests(name):
    found = doctest.testmod(importlib.import_module(f"benchmarks.{name}"))
    assert found.attempted > 0
    assert found.failed == 0


def test_publish_replaces_what_is_between_its_own_markers(tmp_path):
    readme = tmp_path / "README.md"
    before = "a\n<!-- results:one -->\nold\n<!-- /results:one -->\nb\n<!-- results:two -->\n"
    readme.write_text(before + "<!-- /results:two -->\n")
    common.publish("one", r"new \1", readme)
    common.publish("one", r"new \1", readme)
    assert readme.read_text() == before.replace("old", r"new \1") + "<!-- /results:two -->\n"
    with pytest.raises(ValueError, match="three"):
        common.publish("three", "new", readme)


def test_the_readme_has_a_place_for_each_table():
    text = common.README.read_text(encoding="utf-8")
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2]
        assert text.index(f"<!-- results:{name} -->") < text.index(f"<!-- /results:{name} -->")


def test_pruned_rows_have_a_twelfth_of_the_weights_and_the_longer_ones_all(images):
    row = han.train_row(TINY, 0, images)
    assert han.ratio(row["pruned"]) == pytest.approx(12, abs=0.01)
    assert han.ratio(row["pruned"]) >= 12
    for stage in ("dense", "longer"):
        assert han.ratio(row[stage]) == pytest.approx(1, abs=0.01)
    assert not torch.equal(row["dense"].fc1.weight, row["longer"].fc1.weight)


def test_a_row_in_the_cache_is_not_trained_again(images, tmp_path, monkeypatch):
    first = han.cached_row(TINY, 0, images, tmp_path)
    monkeypatch.setattr(han, "train_row", None)
    again = han.cached_row(TINY, 0, images, tmp_path)
    assert han.errors(first, images) == han.errors(again, images)
    assert first["minutes"] == again["minutes"]
    with pytest.raises(TypeError):
        han.cached_row(TINY, 1, images, tmp_path)


def test_the_table_of_rows_has_the_change_of_the_pruned_network(images):
    rows = [han.train_row(TINY, seed, images) | {"minutes": 0.5 + seed} for seed in (0, 1)]
    text = han.report({TINY: rows}, images, "validation")
    (line,) = [line for line in text.splitlines() if line.startswith("| LeNet-300-100")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    measured = [han.errors(row, images) for row in rows]
    for place, stage in ((3, "dense"), (5, "longer")):
        change = sum(one["pruned"] - one[stage] for one in measured) / 2
        assert cells[place].startswith(f"{change:+.2f} (")
    assert cells[6:8] == ["12.00", "1.0"]


def test_both_ways_to_prune_keep_the_same_weights():
    torch.manual_seed(0)
    assert pruning_speed.kept_differently(models.lenet5()) == (0, 0)


def test_weights_kept_differently_at_ties_are_told_apart():
    model = models.mlp(10, 10)
    torch.nn.init.ones_(model.fc1.weight)
    ties, elsewhere = pruning_speed.kept_differently(model)
    assert ties <= 20
    assert elsewhere == 0


def test_the_ratio_is_the_median_of_the_pairs():
    text = pruning_speed.report(models.mlp(4, 2), ([1.0, 2.0, 1.0], [10.0, 40.0, 30.0]))
    assert "| times faster, pair by pair | 20.0 (15.0–25.0) |" in text


def test_ablation_together_and_one_by_one_differ_in_time_alone(images):
    torch.manual_seed(0)
    model = models.mlp(784, 6, 5, 10)
    pairs = ablation.compare(model, images, runs=2)
    assert [difference for *_, difference in pairs] == [0, 0]
    text = ablation.report([(1.0, 8.0, 0.0), (2.0, 30.0, 1e-3)], model, images)
    assert "| 11 neurons, 64 images |" in text
    assert "| times faster, pair by pair | 11.5 (9.8–13.2) |" in text
    assert "difference of two scores: 1e-03" in text


def test_a_criterion_is_measured_once_and_said_in_two_tables(images, tmp_path, monkeypatch):
    small = Dataset("tiny", images, images, images, tuple("0123456789"), "64 images of noise")
    stage = criteria.Stage("MLP", "lenet_300_100", "tiny", epochs=1, rate=0.05)
    scored = []

    def counted(model):
        scored.append(model)
        return pruning.magnitude(model)

    named = {"magnitude": counted, "taylor_units": partial(pruning.taylor_units, data=images)}
    monkeypatch.setattr(criteria, "criteria", lambda *_: named)
    monkeypatch.setattr(criteria.pe, "load", lambda name: small)
    found = criteria.gathered(criteria.rows(stage, range(2), tmp_path))
    again = criteria.gathered(criteria.rows(stage, range(2), tmp_path))
    assert len(scored) == 2
    assert again == found
    row = found["magnitude"][0]
    assert [len(row[part][when]) for part in ("units", "weights") for when in criteria.WHEN] == [
        len(criteria.SPARSITIES)
    ] * 4
    assert "weights" not in found["taylor_units"][0]
    units, weights = criteria.report(stage, found).split("single weights")
    assert "| taylor_units |" in units
    assert "| taylor_units |" not in weights


def test_the_figures_of_the_criteria_are_pictures_with_words(tmp_path):
    row = {"units": {when: [0.9] * len(criteria.SPARSITIES) for when in criteria.WHEN}}
    said = criteria.draw({criteria.DRAWN[0]: [row, row]}, "LeNet", tmp_path)
    for when in criteria.WHEN:
        assert (tmp_path / f"criteria_{when}.png").read_bytes().startswith(b"\x89PNG")
        assert f"{when} fine-tuning" in said


def test_students_learn_from_what_their_way_names(images, tmp_path, monkeypatch):
    recipe = distillation.Recipe(
        teacher=2, student=2, copies=1, hidden=8, units=(6, 4), batch=32, seeds=2
    )
    mnist = Dataset("mnist", images, images, images, tuple("0123456789"), "")
    seen = {}

    def remember(recipe, way, seed, taught):
        seen[way] = taught
        return distillation.fresh_student(recipe)

    with monkeypatch.context() as context:
        context.setattr(distillation, "train_student", remember)
        distillation.train_all(recipe, distillation.WAYS, mnist, tmp_path / "other")
    teacher, students = distillation.train_all(recipe, distillation.WAYS, mnist, tmp_path)
    assert all(len(taught.y) == 128 for taught in seen.values())
    assert len(students["teacher, no 3"]) == 2
    monkeypatch.setattr(distillation, "train_student", remember)
    seen.clear()
    again, _ = distillation.train_all(recipe, distillation.WAYS, mnist, tmp_path)
    assert not seen  # All came from the cache.
    assert torch.equal(again.fc1.weight, teacher.fc1.weight)
    text = distillation.report(teacher, students, recipe, (images, images))
    assert "student: teacher, copies" in text
    assert "hidden layers have 6 and 4 units" in text
    assert "never saw a 3" in text
    students.pop("teacher, no 3")
    text = distillation.report(teacher, students, recipe, (images, images))
    assert "student: teacher, copies" in text
    assert "a 3" not in text


def test_the_bias_of_the_missing_class_is_raised_to_where_validation_errs_least():
    model = models.lenet_300_100()
    for parameter in model.parameters():
        parameter.data.zero_()
    model.fc3.bias.data[0] = 1.9  # All rows are called 0 until the bias of 3 is higher.
    threes = Split(torch.zeros(5, 1, 28, 28), torch.full((5,), 3))
    better = distillation.raised(model, threes)
    assert better.fc3.bias.data[3] == 2.0
    assert model.fc3.bias.data[3] == 0


@pytest.mark.parametrize("batch", [1, 3])
def test_the_three_products_are_the_same(batch):
    dense, *sparse = csr.products((6, 9), batch, 0.7).values()
    for product in sparse:
        torch.testing.assert_close(torch.as_tensor(product()), dense().T)


def test_break_even_is_told_only_where_it_is_crossed():
    assert csr.break_even([2.0] * 7) == "below 50 %"
    assert csr.break_even([2.0, 0.5, 1.5, 2.0, 2.0, 2.0, 2.0]) == "75.0 %"


def test_the_four_ways_compute_the_same_network(images):
    torch.manual_seed(0)
    model = models.small_cnn((4, 8)).eval()
    runs = integer.ways(model, images)
    with torch.no_grad():
        found = [run(images.x) for run in runs.values()]
        wanted = model(images.x)
    assert next(iter(runs)) == "int8"
    for logits in found[1:]:
        torch.testing.assert_close(logits, wanted, atol=1e-5, rtol=1e-4)
    assert (found[0] - wanted).abs().max() < 0.1 * (wanted.max() - wanted.min())
    network = integer.Network("a CNN", "fashion-mini")
    text = integer.report({network: [runs, runs]}, {"fashion-mini": images}, repeats=2)
    assert "| a CNN | 64 |" in text
    assert "over 2 seeds" in text


def test_what_int8_costs_is_the_mean_of_the_seeds():
    split = Split(torch.zeros(4, 1), torch.arange(4))

    def right(count):
        classes = [*range(count), *(((i + 1) % 4) for i in range(count, 4))]
        return lambda x: torch.eye(4)[classes]

    network = integer.Network("a net", "mnist")
    seeds = [{"int8": right(3), "fp32": right(4)}, {"int8": right(2), "fp32": right(2)}]
    cells = integer.accuracies(network, seeds, split)
    assert cells == ["a net", "mnist", "75.00", "62.50", "-12.50 (-25.00 to +0.00)"]


def test_the_imports_are_compared_pair_by_pair():
    torch_alone, ours = import_time.STATEMENTS
    runs = [{torch_alone: (1.0, 1.0), ours: (1.0 + d, 1.5)} for d in (0.1, 0.2, 0.9)]
    text = import_time.report(runs)
    clock = next(line for line in text.splitlines() if "on the clock" in line)
    assert clock.endswith("| 0.20 (0.15–0.55) |")


@pytest.mark.parametrize("answer", dict.fromkeys(grading_exercise.ANSWERS))
def test_the_plain_asserts_give_the_points_of_the_course(answer):
    given = {}
    exec(answer, given)
    earned = 0
    for name, worth in grading_exercise.points().items():
        try:
            exec(grading_exercise.test_body(name), {"keep_top": given["keep_top"]})
        except AssertionError:
            continue
        earned += worth
    verdict = check(grading_exercise.EXERCISE, given["keep_top"], grading_exercise.SEED)
    assert earned == verdict.points


def test_graders_that_differ_in_points_are_not_compared():
    graders = {
        "ours": (lambda work, answers: Graded(1.0, 1.0, [11.0] * len(answers)), 2),
        "theirs": (lambda work, answers: Graded(9.0, 9.0, [10.0] * len(answers)), 1),
    }
    with pytest.raises(RuntimeError, match="same points"):
        grading.measure(graders, ["answer"] * 2)


def test_the_rates_are_compared_with_the_faster_rival():
    found = {
        "few": Graded(3.0, 1.0, [1.0] * 4),
        "all": Graded(4.0, 1.0, [1.0] * 8),
        "quick": Graded(30.0, 20.0, [1.0] * 4),
        "slow": Graded(60.0, 50.0, [1.0] * 4),
    }
    text = grading.report(found, workers=2)
    assert "Against quick, the faster of the two" in text
    assert "10.0 times as many submissions per minute in a class of 4" in text
    assert "15.0 times in a class of 8" in text
    assert "| all | 8 | 4.0 | 1.0 | 120 |" in text
