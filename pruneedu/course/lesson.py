"""What a notebook talks to: `lesson = Lesson("02")`, then check, hint, reveal, quiz, play."""

import inspect
import os
import textwrap
import threading
from collections.abc import Callable
from itertools import takewhile
from types import EllipsisType, SimpleNamespace

import torch

from pruneedu.course import judging, progress
from pruneedu.course.closing import hidden
from pruneedu.course.errors import CheckFailed, LessonError
from pruneedu.course.exercises import Exercise, lessons
from pruneedu.course.feedback import Feedback, feedback
from pruneedu.course.notebooks import is_copy
from pruneedu.course.observing import own_line
from pruneedu.course.quiz import ask
from pruneedu.course.showing import show_answer, show_code, show_item
from pruneedu.course.stubs import helpers, without_docstring, without_marks

PATIENCE = 20.0  # seconds of a check before it says how to stop it


class Lesson:
    """The helper of one lesson's notebook.

    `yours` holds one function for each exercise: the learner's once its check passes, the library's
    until then, so that whoever is stuck can go on.
    """

    def __init__(self, number: str):
        """Open the lesson with this number, such as "02", and let PyTorch use one CPU thread.

        Raises:
            LessonError: there is no such lesson.
        """
        if number not in lessons():
            raise LessonError(f"there is no lesson {number!r}; there are {', '.join(lessons())}")
        # The networks are so small that threads wait for each other longer than they compute: on a
        # busy machine two threads took 6 to 10 times as long as one.
        torch.set_num_threads(1)
        self.record = lessons()[number]
        self.yours = SimpleNamespace(**{e.name: e.reference for e in self.record.exercises})

    def check(self, function: Callable) -> None:
        """Check an answer on the exercise's cases and say what is right and what is not.

        An untouched exercise is no failure, and neither is the library's own function. The hint of
        a failing check is the next one where the code has changed since the last, else the same.

        Args:
            function: the learner's, defined with the exercise's name.

        Raises:
            CheckFailed: it does not pass, or was interrupted.
            LessonError: this lesson has no exercise with the function's name.
        """
        exercise = self._exercise(getattr(function, "__name__", repr(function)))
        if function is exercise.reference:
            said = f"**{exercise.name}**: this is the library's own. Define yours, and check that."
            show_item(Feedback("not attempted", (said,)))
            return
        verdict = _judge(exercise, function)
        if verdict.status == "not attempted":
            show_item(feedback(verdict, _how_to_go_on(exercise.name)))
        elif verdict.status == "passed":
            setattr(self.yours, exercise.name, function)
            show_item(feedback(verdict))
            progress.update(exercise.name, passed=True)
        else:
            show_item(feedback(verdict, progress.failed(exercise, function)))
            right = f"{verdict.right} of {verdict.cases} cases are right"
            raise CheckFailed(f"{exercise.name}: {right}")

    def hint(self, name: str) -> None:
        """Show the next hint of an exercise."""
        show_item(Feedback("", (progress.next_hint(self._exercise(name)),)))

    def source(self, name: str) -> None:
        """Show the library's source of an exercise and the learner's.

        Only once the check passes, or all hints are used.
        """
        exercise = self._exercise(name)
        record = progress.load(exercise.name)
        if not record["passed"] and record["hints"] < len(exercise.hints):
            wait = f"The library's `{name}` is shown once yours passes, or after the last hint."
            show_item(Feedback("", (wait,)))
            return
        parts = (exercise.reference, *helpers(exercise.reference))
        show_code(f"The library's {name}", "\n\n\n".join(map(_source, parts)))
        mine = getattr(self.yours, name)
        if mine is not exercise.reference:
            source = _source(mine)
            same = source == _source(exercise.reference)
            show_code(f"Your {name}", "# the same, line for line" if same else source)

    def reveal(self, guess, *answers) -> None:
        """Show what was measured once a guess stands.

        Args:
            guess: the learner's, or `...` for none yet.
            answers: sentences, figures, anything that can be displayed.
        """
        if isinstance(guess, EllipsisType):
            wait = "Write your guess in the cell above, run it, then run this one again."
            show_item(Feedback("", (wait,)))
            return
        said = takewhile(lambda answer: isinstance(answer, str), answers)
        lines = (f"Your guess: **{guess}**", *said)
        show_item(Feedback("", lines))
        for answer in answers[len(lines) - 1 :]:
            show_answer(answer)

    def quiz(self, name: str, answer=...) -> None:
        """Ask a question; with an answer ("a", "b", …), say why it is right or wrong.

        Raises:
            LessonError: this lesson has no such question, or the question no such answer.
        """
        if name not in self.record.quiz:
            known = ", ".join(self.record.quiz)
            raise LessonError(
                f"lesson {self.record.number} has no question {name!r}; it has {known}"
            )
        show_item(ask(self.record.quiz[name], answer))

    def play(self, render: Callable, **controls) -> None:
        """Show the figure `render(**state)` with a control for each argument: `course.widgets`."""
        from pruneedu.course.widgets import play

        play(render, **controls)

    def budget(self, **full: int) -> tuple[int, ...]:
        """Return the numbers as given, or an eighth of each for tests, when `PRUNEEDU_QUICK=1`."""
        quick = os.environ.get("PRUNEEDU_QUICK") == "1"
        if quick:
            print("A quick run trains an eighth as much: its numbers do not match the text.")
        return tuple(-(-n // 8) if quick else n for n in full.values())

    def progress(self) -> None:
        """Show what is done in the whole course."""
        print(progress.show())

    def _exercise(self, name: str) -> Exercise:
        for exercise in self.record.exercises:
            if exercise.name == name:
                return exercise
        known = ", ".join(f"`{exercise.name}`" for exercise in self.record.exercises)
        raise LessonError(
            f"lesson {self.record.number} has no exercise {name!r}: its functions are {known}, "
            "each written with `def` and its own name"
        )


def _judge(exercise: Exercise, function: Callable) -> judging.Verdict:
    """Judge an answer; a loop without end says how to stop it, and counts as a failure then."""
    words = "Still running. If a loop does not end, press ■ above the notebook to interrupt it."
    timer = threading.Timer(PATIENCE, show_item, [Feedback("", (words,))])
    timer.daemon = True
    timer.start()
    try:
        copied = any(is_copy(_source(f), exercise) for f in (function, *_called(function)))
        return judging.check(exercise, function, closed=hidden(exercise, copied))
    except KeyboardInterrupt as stop:
        line = own_line(stop, function)
        where = f" in the line `{line}`" if line else ""
        said = f"**{exercise.name}** was interrupted{where} before it had answered all cases."
        show_item(Feedback("failed", (said, progress.failed(exercise, function))))
        raise CheckFailed(f"{exercise.name}: interrupted") from None
    finally:
        timer.cancel()


def _how_to_go_on(name: str) -> str:
    return (
        f"Until it passes, `yours.{name}` is the library's own. "
        f'`lesson.hint("{name}")` gives a first hint.'
    )


def _called(function: Callable) -> list[Callable]:
    """The learner's own functions that a function calls, and those that they call."""
    found, todo, space = {}, [function], getattr(function, "__globals__", {})
    while todo:
        code = getattr(todo.pop(), "__code__", None)
        for name in code.co_names if code else ():
            if name not in found and getattr(space.get(name), "__globals__", None) is space:
                found[name] = space[name]
                todo.append(space[name])
    return list(found.values())


def _source(function: Callable) -> str:
    try:
        source = textwrap.dedent(inspect.getsource(function))
        return without_marks(without_docstring(source))
    except (OSError, TypeError, SyntaxError):  # typed at a prompt, or a lambda cut from its line
        return "# the source of this function is not known"
