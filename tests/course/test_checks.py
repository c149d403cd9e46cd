"""The checks are tested: stubs are open, right answers pass, wrong ones are caught and named."""

import inspect
from pathlib import Path

import pytest
import torch

from pruneedu.course.exercises import Exercise, find, lessons
from pruneedu.course.judging import check, key
from pruneedu.course.stubs import stub

EXERCISES = [exercise for lesson in lessons().values() for exercise in lesson.exercises]
SEEDS = (0, 20_261)
MISTAKES = [(e, m) for e in EXERCISES for m in e.mistakes]
ALTERNATIVES = [(e, a) for e in EXERCISES for a in e.alternatives]
SOURCES = sorted((Path(__file__).parents[2] / "solutions").glob("[0-9][0-9]_*.py"))


def names(value) -> str:
    if isinstance(value, Exercise):
        return value.name
    return getattr(getattr(value, "function", value), "__name__", str(value))


def run_cell(source: str, name: str):
    space: dict = {}
    exec(source, space)
    return space[name]


@pytest.mark.parametrize("exercise", EXERCISES, ids=names)
def test_a_stub_is_not_attempted(exercise):
    verdict = check(exercise, run_cell(stub(exercise.reference), exercise.name))
    assert (verdict.status, verdict.points) == ("not attempted", 0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("exercise", EXERCISES, ids=names)
def test_the_reference_passes(exercise, seed):
    verdict = check(exercise, exercise.reference, seed)
    assert (verdict.status, verdict.points) == ("passed", exercise.points)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("exercise", "alternative"), ALTERNATIVES, ids=names)
def test_a_different_right_answer_passes(exercise, alternative, seed):
    verdict = check(exercise, alternative, seed)
    assert verdict.status == "passed", verdict.problem


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=names)
def test_a_mistake_is_caught_and_named(exercise, mistake, seed):
    verdict = check(exercise, mistake.function, seed)
    assert verdict.status in ("failed", "partial")
    assert verdict.points < exercise.points
    assert verdict.problem
    assert verdict.mistake is mistake


@pytest.mark.parametrize("exercise", EXERCISES, ids=names)
def test_an_answer_that_knows_nothing_earns_nothing(exercise):
    def first_argument(*args, **kwargs):
        return next(iter((*args, *kwargs.values())), None)

    def all_true(*args, **kwargs):
        value = first_argument(*args, **kwargs)
        made = value if isinstance(value, dict) else {}
        return {
            n: torch.ones_like(t, dtype=torch.bool) for n, t in made.items() if hasattr(t, "dtype")
        }

    def refuses(*args, **kwargs):
        raise ValueError("no")

    for constant in (None, 0, 0.0, 1.0, True, [], {}, [0.0], float("nan")):
        assert check(exercise, lambda *a, c=constant, **k: c).points == 0
    for empty in (first_argument, all_true, refuses):
        assert check(exercise, empty).points == 0, empty.__name__


@pytest.mark.parametrize("exercise", EXERCISES, ids=names)
def test_a_record_is_complete(exercise):
    assert len(exercise.hints) == 3
    assert len(exercise.mistakes) >= 4
    assert len(exercise.alternatives) >= 1
    assert exercise.points >= 3
    assert exercise.minutes > 0
    for seed in SEEDS:
        cases = key(exercise, seed).cases
        assert len(cases) >= 5
        assert {case.part for case in cases} == set(exercise.parts)
    arguments = set(inspect.signature(exercise.reference).parameters)
    for function in (*exercise.alternatives, *(m.function for m in exercise.mistakes)):
        assert arguments <= set(inspect.signature(function).parameters), function.__name__


def test_names_of_exercises_are_unique():
    found = [exercise.name for exercise in EXERCISES]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("lesson", lessons().values(), ids=lambda lesson: lesson.number)
def test_each_question_has_one_right_choice_and_a_reason_for_each(lesson):
    assert len(lesson.quiz) >= 3
    for question in lesson.quiz.values():
        assert sum(choice.right for choice in question.choices) == 1
        assert all(choice.reason for choice in question.choices)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_lesson_states_the_minutes_and_the_number_of_its_exercises(source):
    exercises = lessons()[source.stem[:2]].exercises
    number = {2: "two", 3: "three", 4: "four", 5: "five"}[len(exercises)]
    minutes = sum(exercise.minutes for exercise in exercises)
    text = " ".join(source.read_text(encoding="utf-8").replace("\n#", " ").split())
    assert f"to read and run, and {minutes} for the {number} exercises." in text


def test_a_mistake_is_named_where_other_parts_are_left_open():
    def keep_top(scores, sparsity, scope="global", masks=None):
        flat = torch.cat([score.flatten() for score in scores.values()])
        keep = torch.zeros(len(flat), dtype=torch.bool)
        keep[flat.argsort()[: len(flat) - round(sparsity * len(flat))]] = True
        parts = keep.split([score.numel() for score in scores.values()])
        return {n: p.view(scores[n].shape) for n, p in zip(scores, parts, strict=True)}

    verdict = check(find("keep_top")[1], keep_top)
    assert verdict.mistake.function.__name__ == "reversed_ranking"
