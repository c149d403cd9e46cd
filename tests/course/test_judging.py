"""Points by the stated weights, none without a right case, and no trust in what is read."""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pruneedu.course.exercises import Case, Difference, Exercise, Mistake, Property, lessons
from pruneedu.course.judging import check, judge, key, untouched
from pruneedu.course.observing import observe
from pruneedu.course.plain import pack
from pruneedu.models import mlp

EVERY = [exercise for lesson in lessons().values() for exercise in lesson.exercises]


def double(x, by=None):
    """Double x."""
    if not x.numel():
        raise ValueError("x is empty")
    return 2 * x


def halved(x, by=None):
    return x / 2


def in_place(x, by=None):
    return x.mul_(2)


def crashes(x, by=None):
    raise OSError("no disk")


def _cases(seed):
    rng = torch.Generator().manual_seed(seed)
    return [
        Case("small", (torch.randn(2, generator=rng),)),
        Case("small", (torch.randn(3, generator=rng),), {"by": torch.ones(1)}),
        Case("large", (torch.randn(20, generator=rng),), note="x is long"),
        Case("refused", (torch.zeros(0),), note="x is empty"),
    ]


def exercise(**changes) -> Exercise:
    record = {
        "reference": double,
        "title": "Double",
        "minutes": 1,
        "cases": _cases,
        "parts": {"small": 3, "large": 2, "refused": 1},
        "hints": ("one", "two", "three"),
        "mistakes": (
            Mistake(halved, "This halves."),
            Mistake(in_place, "This doubles its input."),
            Mistake(crashes, "This needs a disk."),
        ),
        "alternatives": (),
        "properties": (untouched(),),
    }
    return Exercise(**{**record, **changes})


def raises_for_empty(function):
    def answer(x, by=None):
        if not x.numel():
            raise ValueError("no")
        return function(x)

    return answer


DOUBLE = exercise()


def held(verdict) -> dict[str, bool]:
    return {text: holds for text, _, holds in verdict.held}


def test_a_right_answer_earns_every_point():
    verdict = check(DOUBLE, raises_for_empty(lambda x: x + x))
    assert (verdict.status, verdict.points, verdict.max_points) == ("passed", 7, 7)
    assert (verdict.right, verdict.cases) == (4, 4)
    assert verdict.problem == ""
    assert verdict.mistake is None


@pytest.mark.parametrize(
    ("answer", "points", "open_parts"),
    [
        (lambda x, by=None: 2 * x, 6, {"refused"}),
        (raises_for_empty(lambda x: 2 * x if len(x) < 10 else x), 5, {"large"}),
        (raises_for_empty(lambda x: 2 * x if len(x) > 2 else x), 4, {"small"}),
        (raises_for_empty(lambda x: x.mul_(2)), 6, {"the input is not changed"}),
        (lambda x, by=None: x.mul_(2), 5, {"refused", "the input is not changed"}),
    ],
)
def test_points_are_the_weights_of_what_holds(answer, points, open_parts):
    verdict = check(DOUBLE, answer)
    assert (verdict.status, verdict.points) == ("partial", points)
    assert {text for text, holds in held(verdict).items() if not holds} == open_parts


@pytest.mark.parametrize(
    "answer",
    [
        raises_for_empty(lambda x: x),
        raises_for_empty(lambda x: None),
        raises_for_empty(lambda x: True),
    ],
)
def test_without_a_right_value_there_are_no_points(answer):
    verdict = check(DOUBLE, answer)
    assert (verdict.status, verdict.points) == ("failed", 0)
    assert held(verdict)["refused"]
    assert held(verdict)["the input is not changed"]


class Equal:
    """An object that equals everything."""

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __hash__ = None


class Close(torch.Tensor):
    """A tensor for which every comparison is true."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return torch.ones(2, dtype=torch.bool)


class Number(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


@pytest.mark.parametrize(
    "value", [Equal(), torch.zeros(2).as_subclass(Close), Number(1), [Equal()], {"a": Equal()}]
)
def test_an_object_that_equals_everything_earns_nothing(value):
    for one in (DOUBLE, exercise(properties=())):
        assert check(one, lambda x, by=None: value).points == 0


def test_an_answer_is_not_compared_with_itself():
    """Values handed out by one call, or kept and changed later, are of no use to another."""
    kept = []

    def answer(x, by=None):
        kept.append(x)
        for earlier in kept:
            earlier.zero_()
        return x

    verdict = check(DOUBLE, answer)
    assert verdict.points == 0
    assert "changes its input" not in verdict.problem
    assert check(DOUBLE, double).status == "passed"


def test_patched_comparisons_leave_no_trace_in_an_observation(monkeypatch):
    honest = observed(halved)
    with monkeypatch.context() as patch:
        for owner, name in ((torch, "isclose"), (torch, "allclose"), (torch.Tensor, "__eq__")):
            patch.setattr(owner, name, lambda *args, **kwargs: torch.tensor(True))
        assert observed(halved) == honest
    assert judge(DOUBLE, tuple(honest), 0).points == 0


@pytest.mark.parametrize(
    ("answer", "says"),
    [(halved, "This halves."), (in_place, "This doubles its input."), (crashes, "needs a disk")],
)
def test_a_known_mistake_is_named(answer, says):
    verdict = check(DOUBLE, answer)
    assert says in verdict.mistake.says
    assert verdict.points < verdict.max_points


def test_a_mistake_is_named_whether_or_not_bad_input_is_refused():
    assert "halves" in check(DOUBLE, raises_for_empty(halved)).mistake.says


def test_the_first_difference_is_told_with_the_note_of_its_case():
    verdict = check(DOUBLE, raises_for_empty(lambda x: x if len(x) > 10 else 2 * x))
    x = key(DOUBLE, 0).cases[2].args[0]
    assert verdict.problem == (
        f"At the result[0]: expected {2 * x[0].item():.6g}, got {x[0].item():.6g} (x is long)."
    )


def fails(x, by=None):
    return x + 1 / 0


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (fails, "It raised ZeroDivisionError: division by zero. Your line: `return x + 1 / 0`"),
        (lambda x, by=None: 2 * x, "Expected ValueError (x is empty); it returned a result"),
        (lambda x, by=None: {1, 2}, "What it returned cannot be judged: the value['res"),
        (lambda x, by=None: (2 * x).tolist(), "At the result: expected a value of type Tensor"),
        (raises_for_empty(in_place), "The call changes its input: argument [0][0] was "),
    ],
)
def test_the_problem_is_one_sentence(answer, problem):
    assert check(DOUBLE, answer).problem.startswith(problem)


def test_a_changed_keyword_argument_is_named():
    def answer(x, by=None):
        if by is not None:
            by.zero_()
        return double(x)

    assert "argument ['by'][0] was 1 and is 0 afterwards" in check(DOUBLE, answer).problem


def test_the_exercises_own_words_explain_a_value_of_the_right_form_only():
    explained = exercise(
        explain=lambda case, expected, got: f"Off by {(got - expected).sum():.0f}."
    )
    assert "Off by" in check(explained, lambda x, by=None: 2 * x + 1).problem
    assert "Off by" not in check(explained, lambda x, by=None: None).problem


def penalty(model, strength):
    """Square and add."""
    return strength * model.fc1.weight.square().sum()


def test_a_right_value_without_its_gradient_is_wrong_and_is_told_so():
    record = exercise(
        reference=penalty,
        cases=lambda seed: [Case("small", (mlp(2, 2), 0.5)), Case("large", (mlp(9, 2), 0.5))],
        parts={"small": 3, "large": 2},
        mistakes=(Mistake(lambda model, strength: penalty(model, strength).detach(), "Detached."),),
        explain=lambda case, expected, got: "The values differ.",
    )
    assert check(record, lambda model, strength: penalty(model, 1) * strength).status == "passed"
    cut_off = check(record, lambda model, strength: penalty(model, strength).detach())
    assert (cut_off.points, cut_off.mistake.says) == (0, "Detached.")
    expected = "At the result: expected a tensor with a gradient, got one without."
    assert cut_off.problem == expected

    def another(model, strength):
        value = penalty(model, strength)
        return 2 * value - value.detach()

    verdict = check(record, another)
    assert verdict.points == 0
    assert verdict.problem.startswith("At the gradient['fc1.weight'][0, 0]: expected ")


def test_an_exercise_may_accept_many_right_answers():
    def accept(case, expected, got):
        good = isinstance(got, torch.Tensor) and got.shape == expected.shape
        return None if good else Difference("the result", "any tensor of this shape", repr(got))

    loose = exercise(accept=accept)
    assert check(loose, raises_for_empty(torch.zeros_like)).status == "passed"
    assert check(loose, raises_for_empty(lambda x: 3)).points == 0


def test_the_stub_is_not_attempted_and_earns_nothing_not_even_for_what_it_leaves_alone():
    def stub(x, by=None):
        raise NotImplementedError("double: write your answer here")

    for answer in (stub, lambda x, by=None: (_ for _ in ()).throw(NotImplementedError)):
        verdict = check(DOUBLE, answer)
        assert (verdict.status, verdict.points, verdict.right) == ("not attempted", 0, 0)
        assert not any(held(verdict).values())


def test_an_answer_that_calls_another_open_exercise_is_attempted():
    def answer(x, by=None):
        raise NotImplementedError("triple: write your answer here")

    verdict = check(DOUBLE, answer)
    assert verdict.status == "failed"
    assert "triple: write your answer here" in verdict.problem


def test_a_stub_for_some_cases_only_is_attempted():
    def answer(x, by=None):
        if len(x) > 2:
            raise NotImplementedError
        return double(x)

    assert check(DOUBLE, answer).status == "failed"


def observed(function) -> list[bytes]:
    return [observe(function, case) for case in key(DOUBLE, 0).packed]


def test_missing_observations_count_as_wrong_and_more_than_asked_for_as_nothing():
    right = observed(double)
    verdict = judge(DOUBLE, tuple(right[:2]), 0)
    assert (verdict.points, verdict.right) == (3, 2)
    assert verdict.problem == "It ended before all cases had run."
    assert judge(DOUBLE, (), 0).points == 0
    assert judge(DOUBLE, (), 0).status == "failed"
    assert judge(DOUBLE, tuple(right * 2), 0) == judge(DOUBLE, tuple(right), 0)


def test_observations_of_another_seed_earn_nothing():
    assert judge(DOUBLE, tuple(observed(double)), seed=1).points == 0


FORGED = [
    b"",
    pack(None),
    pack({}),
    pack([1]),
    pack({"after": None}),
    pack({"result": 1}),
    pack({"error": None}),
    pack({"error": {"type": 1, "message": "a"}}),
    pack({"error": {"type": "ValueError"}}),
    pack({"result": 1, "error": 2}),
    pack({"error": {"type": "a" * 9000, "message": "b" * 9000, "line": "c" * 9000}}),
    pack({"error": {"type": "ValueError", "message": "a", "line": 3}}),
    pack({"result": {1: [2, {"a": torch.zeros(0)}]}, "after": 3}),
]


@pytest.mark.parametrize("message", FORGED, ids=range(len(FORGED)))
def test_a_forged_observation_earns_nothing_and_stops_nobody(message):
    verdict = judge(DOUBLE, (message,) * 4, 0)
    assert (verdict.status, verdict.points) == ("failed", 0)
    assert 0 < len(verdict.problem) < 800
    rest = observed(double)[1:]
    assert judge(DOUBLE, (message, *rest), 0).right == 3


def test_what_an_error_says_is_printable():
    error = {"type": "\x1b[2J", "message": "\x1b]0;title\x07 a\u202eb", "line": "\x1b[1m"}
    problem = judge(DOUBLE, (pack({"error": error}),) * 4, 0).problem
    assert problem.isprintable()
    assert problem.count("\N{REPLACEMENT CHARACTER}") == 5


def test_a_check_does_not_change_what_is_drawn_after_it():
    def draws(x, by=None):
        torch.manual_seed(5)
        return x * torch.rand(())

    exercise = replace(DOUBLE, cases=lambda seed: [Case("small", (torch.rand(2),))])  # no key yet
    torch.manual_seed(1)
    drawn = torch.rand(3)
    torch.manual_seed(1)
    check(exercise, draws)
    assert torch.equal(torch.rand(3), drawn)


def values():
    shapes = st.lists(st.integers(0, 3), max_size=2)
    tensors = shapes.map(torch.ones) | shapes.map(lambda shape: torch.zeros(shape) > 0)
    names = st.sampled_from(["fc1.weight", "fc2.weight", "fc3.weight", "a"])
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3))
    return st.recursive(
        leaves | tensors,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(names, inner, max_size=3)
            | st.tuples(inner, inner)
        ),
        max_leaves=6,
    )


@pytest.mark.parametrize("record", EVERY, ids=lambda record: record.name)
@given(result=values(), after=values())
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_comes_back_the_judge_of_each_exercise_stands(record, result, after):
    cases = len(key(record, 0).cases)
    verdict = judge(record, (pack({"result": result, "after": after}),) * cases, 0)
    assert verdict.points < verdict.max_points
    assert verdict.status in ("failed", "partial")
    assert verdict.problem


def test_a_key_is_computed_once_and_its_cases_are_not_changed_by_a_check():
    one = key(DOUBLE, 0)
    before = copy.deepcopy(one.cases)
    check(DOUBLE, in_place)
    assert key(DOUBLE, 0) is one
    for old, new in zip(before, one.cases, strict=True):
        assert torch.equal(old.args[0], new.args[0])


def test_a_property_alone_earns_nothing():
    always = exercise(properties=(Property("it is polite", 5, lambda sent, seen: None),))
    assert always.points == 11
    assert check(always, raises_for_empty(lambda x: x)).points == 0
