"""What a student learns from a teacher on MNIST, and of a digit that it never saw (Hinton 2015).

    PRUNEEDU_DATA=FOLDER python -m benchmarks.distillation [--quick] [--write] [--cache FOLDER]

The teacher is a network of two layers of 1,200 units, trained with dropout on images and warped
copies of them. Its students are Hinton's, with two layers of 800, and LeNet-300-100. Each learns in
four ways with as many steps: from the labels or from what the teacher says, of the images alone or
of their copies too. LeNet-300-100 then learns from a transfer set without a single 3, and its bias
of that class is raised to what serves validation best. Choices were made on validation; test is
read once, when all is trained. What is trained lies in the cache, so a run that was killed goes on.
"""

import argparse
import hashlib
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from time import process_time

import torch
from torch import nn

import pruneedu as pe
from benchmarks.common import CACHE, machine, publish, table
from pruneedu.data.augmentation import augmented
from pruneedu.distillation import distillation, teach
from pruneedu.regularization import with_dropout
from pruneedu.training import cosine

MISSING = 3
WAYS = ("labels", "labels, copies", "teacher", "teacher, copies", "teacher, no 3")


@dataclass(frozen=True)
class Recipe:
    """How teacher and students are trained.

    teacher, student: passes over the images, each once as it is or as one of its copies; copies:
    warped ones of each image; hidden, dropout: of the teacher; units: of the student's hidden
    layers; temperature, alpha: of the loss; missing_temperature: of the student that never saw a
    3, all of whose threes lie in what a teacher finds unlikely; batch: images in a step;
    teacher_rate, rate: of Adam, for the teacher and its students, falling to 0 along a cosine;
    seeds: how many students of each kind.
    """

    teacher: int = 48
    student: int = 48
    copies: int = 15
    hidden: int = 1200
    dropout: float = 0.5
    units: tuple[int, ...] = (800, 800)
    temperature: float = 1.0
    missing_temperature: float = 20.0
    alpha: float = 0.5
    batch: int = 256
    teacher_rate: float = 1e-3
    rate: float = 2e-3
    seeds: int = 5


# In which ways the students of each recipe learn.
RECIPES = {Recipe(): WAYS[:4], Recipe(units=(300, 100), student=80, rate=4e-3): WAYS}
QUICK = Recipe(teacher=8, student=8, copies=3, hidden=300, units=(100, 100), seeds=1)


def train_teacher(recipe: Recipe, pool: pe.data.Split) -> nn.Module:
    """Train the teacher with dropout on images and copies; it is returned without."""
    pe.seed_everything(0)
    fresh = pe.models.mlp(784, recipe.hidden, recipe.hidden, 10)
    trained = pe.fit(
        with_dropout(fresh, recipe.dropout),
        pool,
        recipe.teacher // (1 + recipe.copies),
        optimizer=partial(torch.optim.Adam, lr=recipe.teacher_rate),
        schedule=cosine,
        batch_size=recipe.batch,
    ).model
    fresh.load_state_dict(trained.state_dict())
    return fresh.eval()


def fresh_student(recipe: Recipe) -> nn.Module:
    """Return a student as it is born."""
    return pe.models.mlp(784, *recipe.units, 10)


def train_student(recipe: Recipe, way: str, seed: int, taught: pe.data.Split) -> nn.Module:
    """Train the student in one way, on rows of images that the teacher has spoken of."""
    loss = partial(distillation, temperature=recipe.temperature, alpha=recipe.alpha)
    if way.startswith("labels"):
        loss = partial(distillation, alpha=0.0)
    if "copies" in way:
        epochs = recipe.student // (1 + recipe.copies)
    else:
        taught, epochs = first(taught, 1 + recipe.copies), recipe.student
    if way.endswith("no 3"):
        seen = taught.y[:, 0] != MISSING
        taught = pe.data.Split(taught.x[seen], taught.y[seen])
        loss = partial(distillation, temperature=recipe.missing_temperature, alpha=1.0)
    pe.seed_everything(seed)
    return pe.fit(
        fresh_student(recipe),
        taught,
        epochs,
        optimizer=partial(torch.optim.Adam, lr=recipe.rate),
        schedule=cosine,
        loss=loss,
        batch_size=recipe.batch,
        seed=seed,
    ).model


def first(split: pe.data.Split, parts: int) -> pe.data.Split:
    """Return the first of equal parts: the images without their copies."""
    rows = len(split.y) // parts
    return pe.data.Split(split.x[:rows], split.y[:rows])


def cached(path: Path, fresh: nn.Module, train: Callable[[], nn.Module]) -> nn.Module:
    """Fill a fresh network from the cache, or with what `train()` returns, and keep that."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        started = process_time()
        torch.save(train().state_dict(), path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)
        print(f"{path.stem}: {(process_time() - started) / 60:.1f} processor minutes", flush=True)
    fresh.load_state_dict(torch.load(path, weights_only=True))
    return fresh.eval()


def train_all(recipe: Recipe, ways: Sequence[str], mnist: pe.data.Dataset, cache: Path):
    """Return the teacher, and for each way of training the student of each seed."""
    images = len(mnist.train.y)
    key = _key(astuple(replace(recipe, seeds=1)), images)
    # The teacher does not depend on what only its students do.
    same = (recipe.teacher, recipe.copies, recipe.hidden, recipe.dropout, recipe.batch)
    teacher_key = _key((*same, recipe.teacher_rate), images)
    pool = augmented(mnist.train, recipe.copies)
    fresh = pe.models.mlp(784, recipe.hidden, recipe.hidden, 10)
    teacher = cached(
        cache / f"teacher-{teacher_key}.pt", fresh, lambda: train_teacher(recipe, pool)
    )
    taught = teach(teacher, pool)
    students = {
        way: [
            cached(
                cache / f"{way.replace(', ', '-').replace(' ', '-')}-{seed}-{key}.pt",
                fresh_student(recipe),
                partial(train_student, recipe, way, seed, taught),
            )
            for seed in range(recipe.seeds)
        ]
        for way in ways
    }
    return teacher, students


def _key(told: tuple, images: int) -> str:
    """Name a training by all that it depends on."""
    return hashlib.sha256(repr((*told, images)).encode()).hexdigest()[:8]


def error(model: nn.Module, split: pe.data.Split) -> float:
    """Return the error in per cent."""
    return 100 * (1 - pe.evaluate(model, split))


def raised(model: nn.Module, validation: pe.data.Split) -> nn.Module:
    """Return the model with the bias of the missing class where validation errs least."""

    def with_bias(by: float) -> nn.Module:
        moved = deepcopy(model)
        moved.fc3.bias.data[MISSING] += by
        return moved

    return min((with_bias(step / 4) for step in range(41)), key=lambda m: error(m, validation))


def report(
    teacher: nn.Module, students: dict, recipe: Recipe, splits: tuple[pe.data.Split, pe.data.Split]
) -> str:
    """Say in tables what was measured on the first split; choices are made on the second."""
    said = [_gap(teacher, students, recipe, splits[0])]
    if unseen := students.get(WAYS[4]):
        said += [_digit(unseen, *splits)]
    words = (
        f"The student's hidden layers have {' and '.join(map(str, recipe.units))} units. "
        f"Mean ± standard deviation over {recipe.seeds} seed{'s' * (recipe.seeds > 1)} of it; one "
        f"teacher. Each trained on {recipe.student} times the images; "
        f'"copies": {recipe.copies} warped ones of each are among them. '
        f"T = {recipe.temperature:g}, α = {recipe.alpha:g}"
    )
    without = f"; without a 3, T = {recipe.missing_temperature:g}, α = 1" if unseen else ""
    return "\n\n".join([*said, f"{words}{without}."])


def _gap(teacher: nn.Module, students: dict, recipe: Recipe, split: pe.data.Split) -> str:
    ceiling = error(teacher, split)
    alone = [error(model, split) for model in students["labels"]]
    rows = [[f"the teacher, 2 × {recipe.hidden:,} units", f"{ceiling:.2f}", ""]]
    for way in WAYS[:4]:
        errors = [error(model, split) for model in students[way]]
        closed = [100 * (a - e) / (a - ceiling) for a, e in zip(alone, errors, strict=True)]
        rows.append([f"student: {way}", _mean(errors), _mean(closed, 0)])
    return table(["learned from", "error, %", "gap closed, %"], rows)


def _digit(unseen: list[nn.Module], split: pe.data.Split, validation: pe.data.Split) -> str:
    threes = pe.data.Split(split.x[split.y == MISSING], split.y[split.y == MISSING])
    rows = []
    for name, models in {
        "as trained": unseen,
        "its bias of 3 raised": [raised(model, validation) for model in unseen],
    }.items():
        right = [100 - error(model, threes) for model in models]
        rows.append([name, _mean([error(m, split) for m in models]), _mean(right, 1)])
    return table(["the student that never saw a 3", "error, %", "threes right, %"], rows)


def _mean(values: Sequence[float], digits: int = 2) -> str:
    """Write the mean and the standard deviation.

    >>> _mean([1.0, 2.0, 3.0], 1)
    '2.0 ± 1.0'
    """
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"


def main(arguments: list[str] | None = None) -> None:
    """Train, print the tables, and write them into the README if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a first look, on validation")
    parser.add_argument("--write", action="store_true", help="write the tables into the README")
    folder = CACHE / "distillation"
    parser.add_argument("--cache", type=Path, default=folder, help="folder of trained networks")
    options = parser.parse_args(arguments)
    if options.quick and options.write:
        parser.error("the README shows the full run: leave out --quick or --write")
    torch.set_num_threads(1)  # A second thread doubles the processor's time and saves little.
    mnist = pe.load("mnist")
    recipes = {QUICK: WAYS} if options.quick else RECIPES
    trained = [
        (*train_all(recipe, ways, mnist, options.cache), recipe) for recipe, ways in recipes.items()
    ]
    for split in (mnist.validation,) if options.quick else (mnist.validation, mnist.test):
        said = [report(*one, (split, mnist.validation)) for one in trained]
        text = "\n\n".join([*said, f"{machine()}."])
        name = "validation" if split is mnist.validation else "test"
        print(f"\n{name}\n\n{text}", flush=True)
    if options.write:
        publish("distillation", text)


if __name__ == "__main__":
    main()
