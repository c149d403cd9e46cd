"""An answer that leaves its work to one function of the library earns nothing."""

import pytest
from answer_cells import ONE_CALLS as ANSWERS

from pruneedu.course.closing import hidden
from pruneedu.course.exercises import find, lessons
from pruneedu.course.plain import pack, unpack
from pruneedu.grading import isolation
from pruneedu.grading.jobs import Job
from pruneedu.grading.sandbox import Sandbox

EXERCISES = [exercise for lesson in lessons().values() for exercise in lesson.exercises]
PASSED_ON = "from {module} import {name} as right\ndef {name}(*a, **k):\n    return right(*a, **k)"

missing = isolation.available()
pytestmark = [
    pytest.mark.namespaces,
    pytest.mark.skipif(missing is not None, reason=f"no namespaces: {missing}"),
]


@pytest.fixture(scope="module")
def box():
    with Sandbox(timeout=20) as box:
        yield box


def answered(box, exercise, source, closed) -> int:
    """The number of cases to which an answer gives a result."""
    cases = [pack({"args": list(c.args), "kwargs": dict(c.kwargs)}) for c in exercise.cases(3)]
    outcome = box.run(Job(source, exercise.name, tuple(cases), closed, needs_dynamo=True))
    assert outcome.ended == "finished"
    return sum("result" in unpack(observation) for observation in outcome.observations)


@pytest.mark.parametrize(("name", "source"), ANSWERS, ids=[name for name, _ in ANSWERS])
def test_a_helper_that_does_the_work_is_closed(box, name, source):
    exercise = find(name)[1]
    assert answered(box, exercise, source, closed=()) > 0
    assert answered(box, exercise, source, hidden(exercise, copied=False)) == 0


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_the_reference_is_closed_or_absent(box, exercise):
    source = PASSED_ON.format(module=exercise.reference.__module__, name=exercise.name)
    assert answered(box, exercise, source, hidden(exercise, copied=False)) == 0


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_what_is_closed_is_public_and_of_the_library(exercise):
    assert all(function.__module__.startswith("pruneedu.") for function in exercise.closes)
    assert not any(".lessons." in function.__module__ for function in exercise.closes)
    assert not any(function.__name__.startswith("_") for function in exercise.closes)
    assert exercise.reference not in exercise.closes
