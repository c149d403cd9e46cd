"""What the checks know of lesson 00."""

from pruneedu.course.exercises import LessonRecord
from pruneedu.course.lessons.lesson_00 import share_dropped, share_right
from pruneedu.course.lessons.lesson_00.quiz import QUIZ

LESSON = LessonRecord(
    number="00",
    slug="start_here",
    title="Start here",
    exercises=(share_dropped.EXERCISE, share_right.EXERCISE),
    quiz=QUIZ,
)
