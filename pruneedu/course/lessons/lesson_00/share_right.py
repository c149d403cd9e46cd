"""Exercise: which fraction of the predictions is right?"""

import torch

from pruneedu.course.exercises import Case, Exercise, Mistake
from pruneedu.course.judging import untouched
from pruneedu.course.lessons.making import generator
from pruneedu.evaluation import accuracy

PARTS = {"some are right": 3, "as many rows as classes": 1, "all or none are right": 1}


def _cases(seed: int) -> list[Case]:
    rng = generator(seed)

    def case(part: str, rows: int, classes: int, right: int, note: str = "") -> Case:
        """Logits without ties, of which exactly `right` rows have their largest at the label."""
        logits = torch.randn(rows, classes, generator=rng) - 1
        y = logits.argmax(1)
        shift = torch.randint(1, classes, (rows,), generator=rng)
        shift[torch.randperm(rows, generator=rng)[:right]] = 0
        return Case(part, (logits, (y + shift) % classes), note=note)

    square = "logits are as high as they are wide"
    return [
        case("some are right", 12, 3, 9),
        case("some are right", 20, 10, 7),
        case("some are right", 5, 2, 2),
        case("some are right", 7, 4, 6),
        case("as many rows as classes", 6, 6, 4, square),
        case("as many rows as classes", 4, 4, 1, square),
        case("all or none are right", 8, 3, 8, "all are right"),
        case("all or none are right", 8, 3, 0, "none is right"),
        case("all or none are right", 1, 5, 1, "there is one row"),
    ]


def number_right(logits, y):
    return int((logits.argmax(1) == y).sum())


def in_percent(logits, y):
    return 100 * accuracy(logits, y)


def share_wrong(logits, y):
    return 1 - accuracy(logits, y)


def down_the_columns(logits, y):
    return (logits.argmax(0) == y).float().mean().item()


def as_a_tensor(logits, y):
    return (logits.argmax(1) == y).float().mean()


def smallest_logit(logits, y):
    return (logits.argmin(1) == y).float().mean().item()


def probability_of_the_label(logits, y):
    return logits.softmax(1)[torch.arange(len(y)), y].mean().item()


def divided_by_classes(logits, y):
    return (logits.argmax(1) == y).sum().item() / logits.shape[1]


def mean_over_classes(logits, y):
    right = (logits.argmax(1) == y).float()
    return torch.stack([right[y == label].mean() for label in y.unique()]).mean().item()


def by_mean(logits, y):
    return (logits.argmax(dim=-1) == y).double().mean().item()


def by_loop(logits, y):
    right = 0
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        right += max(range(len(row)), key=row.__getitem__) == label
    return right / len(y)


EXERCISE = Exercise(
    reference=accuracy,
    title="Which fraction is right?",
    minutes=6,
    cases=_cases,
    parts=PARTS,
    properties=(untouched(),),
    hints=(
        "A row of `logits` belongs to one example, a column to one class. Which class does a row "
        "predict?",
        "`logits.argmax(1)` is the predicted class of each row. Compare it with `y`: how many agree?",
        "`(logits.argmax(1) == y)` holds a True for each right answer. Their sum, as a plain number, "
        "divided by `len(y)`.",
    ),
    mistakes=(
        Mistake(
            number_right,
            "This is how many are right. An accuracy is a fraction: divide by the number of rows.",
        ),
        Mistake(
            in_percent, "These are per cent. In this course an accuracy is a fraction, 0 to 1."
        ),
        Mistake(
            share_wrong,
            "This is the fraction that is wrong, the error. Accuracy is what remains.",
        ),
        Mistake(
            down_the_columns,
            "`argmax(0)` looks down the columns: for each class it finds the example that is surest of "
            "it. A prediction is the largest entry of a row: `argmax(1)`.",
        ),
        Mistake(
            as_a_tensor,
            "The number is right, but it is a tensor. `.item()` makes a plain number of it.",
        ),
        Mistake(
            smallest_logit,
            "This takes the smallest entry of each row. The class that is predicted has the largest.",
        ),
        Mistake(
            probability_of_the_label,
            "This is the mean probability that the network gives the label. Accuracy counts only "
            "whether the label comes first.",
        ),
        Mistake(
            divided_by_classes,
            "This divides by the number of classes, which is the width of `logits`. Divide by the "
            "number of rows.",
        ),
        Mistake(
            mean_over_classes,
            "This is the mean of the classes' own accuracies, so that a rare class counts as much as a "
            "frequent one. That is another measure (balanced accuracy); here each example counts once.",
        ),
    ),
    alternatives=(by_mean, by_loop),
)
