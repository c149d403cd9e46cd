"""What the checks know of lesson 02."""

from pruneedu.course.exercises import LessonRecord
from pruneedu.course.lessons.lesson_02 import (
    cubic_schedule,
    keep_top_masks,
    magnitude_scores,
    pruning_loop,
    sparsity_budget,
)
from pruneedu.course.lessons.lesson_02.quiz import QUIZ

LESSON = LessonRecord(
    number="02",
    slug="magnitude",
    title="Magnitude",
    exercises=(
        magnitude_scores.EXERCISE,
        keep_top_masks.EXERCISE,
        cubic_schedule.EXERCISE,
        pruning_loop.EXERCISE,
        sparsity_budget.EXERCISE,
    ),
    quiz=QUIZ,
)
