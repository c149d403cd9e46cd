"""What the checks know of lesson 03."""

from pruneedu.course.exercises import LessonRecord
from pruneedu.course.lessons.lesson_03 import (
    first_order,
    gradient_squares,
    loss_without,
    output_sensitivity,
    second_order,
)
from pruneedu.course.lessons.lesson_03.quiz import QUIZ

LESSON = LessonRecord(
    number="03",
    slug="gradients",
    title="Gradients",
    exercises=(
        loss_without.EXERCISE,
        gradient_squares.EXERCISE,
        first_order.EXERCISE,
        second_order.EXERCISE,
        output_sensitivity.EXERCISE,
    ),
    quiz=QUIZ,
)
