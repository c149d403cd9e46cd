"""What the checks know of each lesson: exercises with their cases, mistakes and hints, and the quiz.

One folder a lesson, one file an exercise. A sandbox that runs learners' code does not have this folder.
"""
