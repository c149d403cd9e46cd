"""A quiz question, asked and answered."""

from string import ascii_lowercase
from types import EllipsisType

from pruneedu.course.errors import LessonError
from pruneedu.course.exercises import Question
from pruneedu.course.feedback import Feedback


def ask(question: Question, answer) -> Feedback:
    """Show a question with its choices and, once there is an answer, why it is right or wrong.

    Args:
        question: its choices are lettered in their order.
        answer: a letter, or `...` for none yet.

    Raises:
        LessonError: the question has no such answer.
    """
    letters = dict(zip(ascii_lowercase, question.choices, strict=False))
    lines = [f"**{question.text}**", *(f"{key}) {choice.text}" for key, choice in letters.items())]
    if isinstance(answer, EllipsisType):
        return Feedback(
            "", (*lines, 'Put a letter in place of `...`, such as `"a"`, and run the cell.')
        )
    letter = answer.strip().lower() if isinstance(answer, str) else None
    if letter not in letters:
        known = ", ".join(f'"{one}"' for one in letters)
        raise LessonError(f"the answer {answer!r} is none of {known}")
    chosen = letters[letter]
    verdict = "Right" if chosen.right else "Not this one"
    said = f"**{letter}) {verdict}.** {chosen.reason}"
    return Feedback("passed" if chosen.right else "failed", (*lines, said))
