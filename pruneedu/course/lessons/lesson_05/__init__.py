"""What the checks know of lesson 05."""

from pruneedu.course.exercises import LessonRecord
from pruneedu.course.lessons.lesson_05 import (
    decision,
    mean_ranks,
    own_entry,
    same_choice,
    taken_out,
)
from pruneedu.course.lessons.lesson_05.quiz import QUIZ

LESSON = LessonRecord(
    number="05",
    slug="duel",
    title="The duel",
    exercises=(
        taken_out.EXERCISE,
        mean_ranks.EXERCISE,
        same_choice.EXERCISE,
        decision.EXERCISE,
        own_entry.EXERCISE,
    ),
    quiz=QUIZ,
)
