"""What the checks know of lesson 06."""

from pruneedu.course.exercises import LessonRecord
from pruneedu.course.lessons.lesson_06 import (
    column_scores,
    input_information,
    joint_choice,
    live_inputs,
    selection_inside,
)
from pruneedu.course.lessons.lesson_06.quiz import QUIZ

LESSON = LessonRecord(
    number="06",
    slug="features",
    title="Features or connections?",
    exercises=(
        input_information.EXERCISE,
        column_scores.EXERCISE,
        joint_choice.EXERCISE,
        live_inputs.EXERCISE,
        selection_inside.EXERCISE,
    ),
    quiz=QUIZ,
)
