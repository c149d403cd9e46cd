"""A verdict in words: what is right, what is wrong and where, what a teacher would say; escaped."""

import re

import pytest

from pruneedu.course.exercises import Mistake
from pruneedu.course.feedback import COLOURS, SIGNS, Feedback, feedback, inline
from pruneedu.course.judging import Verdict

HELD = (("small", 3, True), ("large", 2, False), ("the input is not changed", 1, False))


def verdict(**changes) -> Verdict:
    made = {
        "exercise": "double",
        "status": "partial",
        "points": 3,
        "max_points": 6,
        "right": 5,
        "cases": 8,
        "held": HELD,
        "problem": "At the result[0]: expected 1, got 2.",
        "mistake": Mistake(abs, "This forgets the sign."),
    }
    return Verdict(**{**made, **changes})


def test_a_wrong_answer_is_told_what_is_right_then_what_is_wrong_then_why_then_a_hint():
    assert feedback(verdict(), "Hint 1 of 3: look.").lines == (
        "**double** is right on 5 of 8 cases: 3 of 6 points.",
        "At the result[0]: expected 1, got 2.",
        "This forgets the sign.",
        "Still open: large, the input is not changed.",
        "Hint 1 of 3: look.",
    )
    assert len(feedback(verdict(mistake=None, problem="")).lines) == 2


def test_a_right_answer_is_told_what_was_checked():
    held = tuple((text, weight, True) for text, weight, _ in HELD)
    said = feedback(verdict(status="passed", points=6, right=8, held=held, problem=""), "A hint.")
    assert said.lines == (
        "**double** passes: 8 of 8 cases, 6 of 6 points.",
        "Checked: small, large, the input is not changed.",
    )


def test_an_open_exercise_is_told_how_to_go_on():
    said = feedback(verdict(status="not attempted", points=0), "Go on.")
    assert said.lines == ("**double**: not attempted yet.", "Go on.")


@pytest.mark.parametrize(
    ("text", "page", "terminal"),
    [
        ("**a** is `b`", "<b>a</b> is <code>b</code>", "a is `b`"),
        ("`x ** 2` `y ** 3`", "<code>x ** 2</code> <code>y ** 3</code>", "`x ** 2` `y ** 3`"),
        ("`**a**`", "<code>**a**</code>", "`**a**`"),
        ("2 ** 3 ** 4", "2 ** 3 ** 4", "2 ** 3 ** 4"),
        ("a ` b", "a ` b", "a ` b"),
        ("<b>&", "&lt;b&gt;&amp;", "<b>&"),
        ("`<img alt='a'>`", "<code>&lt;img alt=&#x27;a&#x27;&gt;</code>", "`<img alt='a'>`"),
    ],
)
def test_code_and_bold_are_marked_and_all_else_is_escaped(text, page, terminal):
    assert inline(text) == page
    assert str(Feedback("", (text,))) == f"· {terminal}"


def test_no_text_of_a_learner_becomes_a_tag():
    hostile = "</p><script>alert(1)</script> `<i>` **<u>** \" onload='x'"
    html = Feedback("failed", (hostile,))._repr_html_()
    tags = set(re.findall(r"<\s*/?(\w+)", html))
    assert tags == {"div", "p", "code", "b"}


@pytest.mark.parametrize("status", COLOURS)
def test_a_status_is_told_by_more_than_a_colour(status):
    said = Feedback(status, ("one", "two"))
    assert str(said) == f"{SIGNS[status]} one\n  two"
    assert COLOURS[status] in said._repr_html_()
    bundle = said._repr_mimebundle_()
    assert bundle["text/plain"] == str(said)
    assert bundle["text/html"] == said._repr_html_()
