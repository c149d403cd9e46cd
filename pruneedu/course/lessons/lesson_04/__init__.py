"""What the checks know of lesson 04."""

from pruneedu.course.exercises import LessonRecord
from pruneedu.course.lessons.lesson_04 import (
    class_information,
    control,
    sureness,
    unit_entropy,
    zeros,
)
from pruneedu.course.lessons.lesson_04.quiz import QUIZ

LESSON = LessonRecord(
    number="04",
    slug="information",
    title="Information",
    exercises=(
        zeros.EXERCISE,
        unit_entropy.EXERCISE,
        class_information.EXERCISE,
        control.EXERCISE,
        sureness.EXERCISE,
    ),
    quiz=QUIZ,
)
