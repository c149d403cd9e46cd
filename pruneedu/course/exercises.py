"""The exercise record: what a learner builds, and everything needed to judge it."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache


@dataclass(frozen=True)
class Case:
    """One call of the learner's function.

    Attributes:
        part: the group of cases that it belongs to.
        note: what is special about it, as the end of the sentence "it differs where …".
    """

    part: str
    args: tuple
    kwargs: Mapping = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Difference:
    """Where two values part, in words."""

    where: str
    expected: str
    got: str


@dataclass(frozen=True)
class Property:
    """What must hold beside the values.

    Attributes:
        broken: (case, seen) -> a sentence, or None where it holds. `seen` is the unpacked
            observation: "result" or "error", and "after", the arguments after the call.
    """

    text: str
    weight: int
    broken: Callable[[dict, dict], str | None]


@dataclass(frozen=True)
class Mistake:
    """A wrong implementation that learners write, and what a teacher would say of it."""

    function: Callable
    says: str


@dataclass(frozen=True, eq=False)  # compared by identity, so that a key can be cached
class Exercise:
    """A function to write, with all that is needed to judge an answer and to help.

    reference: the right one: its signature and docstring are the stub, its body the solution.
    cases: a function from a seed to cases; the seed changes the numbers, never the parts.
    parts: the weight of each group of cases; properties carry their own weights.
    hints: three, each nearer to the answer.
    mistakes: wrong implementations that have a name; each is told from the others by the cases.
    alternatives: right implementations that differ from the reference; the tests check them.
    accept: (case, expected, got) -> Difference or None, for exercises with many right answers.
    explain: (case, expected, got) -> a sentence that shows the difference in the exercise's own
    terms; `got` has the form of `expected`.
    closes: other library functions that do the exercise's work. While an answer is graded they
    raise, as the reference does; only a copy of the reference may call them.
    """

    reference: Callable
    title: str
    minutes: int
    cases: Callable[[int], list[Case]]
    parts: Mapping[str, int]
    hints: tuple[str, str, str]
    mistakes: tuple[Mistake, ...]
    alternatives: tuple[Callable, ...]
    properties: tuple[Property, ...] = ()
    accept: Callable[[Case, object, object], Difference | None] | None = None
    explain: Callable[[Case, object, object], str] | None = None
    closes: tuple[Callable, ...] = ()

    @property
    def name(self) -> str:
        """The name of the function that the learner defines."""
        return self.reference.__name__

    @property
    def points(self) -> int:
        """The most that the exercise can earn."""
        return sum(self.parts.values()) + sum(item.weight for item in self.properties)


@dataclass(frozen=True)
class Choice:
    """One answer of a quiz question, and the reason why it is right or wrong."""

    text: str
    reason: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A quiz question; its choices are lettered a, b, c in their order."""

    text: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class LessonRecord:
    """What the checks know of a lesson: its number, file name, title, exercises and quiz."""

    number: str
    slug: str
    title: str
    exercises: tuple[Exercise, ...]
    quiz: Mapping[str, Question]


@cache
def lessons() -> dict[str, LessonRecord]:
    """Return the records of all lessons, by number.

    >>> lessons()["02"].slug
    'magnitude'
    """
    from pruneedu.course import lessons as package

    modules = (module.name for module in pkgutil.iter_modules(package.__path__))
    names = sorted(name for name in modules if name.startswith("lesson_"))
    found = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return {module.LESSON.number: module.LESSON for module in found}


def find(name: str) -> tuple[LessonRecord, Exercise]:
    """Return the lesson and the record of the exercise with this name.

    Raises:
        KeyError: there is none; the sentence lists the exercises.
    """
    for lesson in lessons().values():
        for exercise in lesson.exercises:
            if exercise.name == name:
                return lesson, exercise
    known = ", ".join(e.name for lesson in lessons().values() for e in lesson.exercises)
    raise KeyError(f"there is no exercise {name!r}; the exercises are {known}")
