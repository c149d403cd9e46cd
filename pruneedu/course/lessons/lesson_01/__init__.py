"""What the checks know of lesson 01."""

from pruneedu.course.exercises import LessonRecord
from pruneedu.course.lessons.lesson_01 import (
    equal_nonzeros,
    few_weights,
    group_penalty,
    l1_penalty,
    soft_threshold,
)
from pruneedu.course.lessons.lesson_01.quiz import QUIZ

LESSON = LessonRecord(
    number="01",
    slug="regularisation",
    title="Regularisation or pruning?",
    exercises=(
        l1_penalty.EXERCISE,
        soft_threshold.EXERCISE,
        group_penalty.EXERCISE,
        equal_nonzeros.EXERCISE,
        few_weights.EXERCISE,
    ),
    quiz=QUIZ,
)
