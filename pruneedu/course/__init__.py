"""What makes a lesson a lesson: exercises, checks, feedback, hints, guesses, quizzes, widgets."""

from pruneedu.course.lesson import Lesson

__all__ = ["Lesson"]
