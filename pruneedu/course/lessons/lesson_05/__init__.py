"""What the checks know of lesson 05."""

from pruneedu.course.exercises import LessonRecord
from pruneedu.course.lessons.lesson_05 import taken_out
from pruneedu.course.lessons.lesson_05.quiz import QUIZ

LESSON = LessonRecord(
    number="05",
    slug="duel",
    title="The duel",
    exercises=(taken_out.EXERCISE,),
    quiz=QUIZ,
)
