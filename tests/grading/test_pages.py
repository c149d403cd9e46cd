"""The pages and the gradebook: whatever a name or an answer holds, it stays text."""

import csv
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruneedu.course.exercises import find
from pruneedu.course.feedback import feedback, inline
from pruneedu.course.judging import check
from pruneedu.grading import html_page
from pruneedu.grading.gradebook import Row, as_csv, rows
from pruneedu.grading.html_page import LIMITS_ONLY, text
from pruneedu.grading.pages import submission_page
from pruneedu.grading.results import STATUSES, Graded, Mark, Options
from pruneedu.grading.summary import summary_page

OPTIONS = Options("0.1.0", 3, "namespaces", 60, "class", "0" * 64)
TAGS = {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "div"}
TAGS |= {"table", "thead", "tbody", "tr", "th", "td", "ul", "li", "a", "b", "bdi", "code", "small"}
TAGS |= {"svg", "rect"}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "href", "scope", "role"}
ATTRIBUTES |= {"colspan", "rowspan", "aria-label", "width", "height", "x", "fill", "stroke"}
VOID = {"meta", "rect"}

anything = st.text(max_size=30) | st.sampled_from(
    ["</code><script>alert(1)</script>", "`<b>`", "**<i>**", "'\"><img src=x>", "\x00\ud800\u202e"]
)


class Reader(HTMLParser):
    """Reads a page as strictly as it was written: every tag closed, in order."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.seen, self.words = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag in VOID or self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    def named(self, *tags: str) -> list[dict]:
        return [attributes for tag, attributes in self.seen if tag in tags]


def graded(learner="ada", file="ada.ipynb", notes=(), lines=("said",), **mark) -> Graded:
    fields = {"points": 2, "max_points": 6, "status": "partial", **mark}
    marks = (Mark("02", "magnitude", lines=tuple(lines), **fields),)
    return Graded(learner, file, "ada-1", "0" * 64, OPTIONS, "graded", tuple(notes), marks)


def unmarked(learner: str, file: str, status: str, *notes: str) -> Graded:
    return Graded(learner, file, "ada-2", "0" * 64, OPTIONS, status, notes)


def pages(*every: Graded) -> list[str]:
    return [*map(submission_page, every), summary_page(rows(every), list(every), [])]


@given(anything, anything, anything, anything)
@settings(max_examples=25, deadline=None)
def test_nothing_that_was_submitted_becomes_a_tag(learner, file, note, line):
    plain = pages(graded(notes=["x"], lines=["y"]), unmarked("ada", "x", "unreadable", "z"))
    odd = pages(
        graded(learner, file, notes=[note], lines=[line]),
        unmarked(learner, file, "unreadable", note),
    )
    for usual, page in zip(plain, odd, strict=True):
        reader = Reader(page)
        assert {tag for tag, _ in reader.seen} <= TAGS
        assert {name for _, attributes in reader.seen for name in attributes} <= ATTRIBUTES
        kinds = [tag for tag, _ in reader.seen if tag not in ("b", "code")]
        assert kinds == [tag for tag, _ in Reader(usual).seen if tag not in ("b", "code")]
        page.encode()


def test_a_page_is_well_made():
    for page in pages(graded(), unmarked("bob", "bob.ipynb", "unreadable", "no")):
        reader = Reader(page)
        assert len(reader.named("h1")) == 1
        assert all("scope" in attributes for attributes in reader.named("th"))
        assert dict(reader.seen)["html"] == {"lang": "en"}
        assert all(attributes["aria-label"] for attributes in reader.named("svg"))
        headings = [int(tag[1]) for tag, _ in reader.seen if re.fullmatch("h[1-6]", tag)]
        assert all(b - a <= 1 for a, b in pairwise(headings))


def test_nothing_on_a_page_can_run_or_load():
    for page in pages(graded()):
        (policy,) = (m["content"] for m in Reader(page).named("meta") if "http-equiv" in m)
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "style=" not in page
        assert "http://" not in page
        assert "https://" not in page


def test_the_policy_admits_the_style_of_the_page():
    import base64
    import hashlib

    (page, _) = pages(graded())
    style = page.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * d for d in colour[1:])
    parts = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_has_the_contrast_that_wcag_asks_for():
    texts = re.findall(r"[ {]color: (#[0-9a-f]+)", html_page._STYLE)
    backgrounds = re.findall(r"background: (#[0-9a-f]+)", html_page._STYLE)
    assert len(texts) >= 3
    for one in texts:
        for other in backgrounds:
            low, high = sorted((luminance(one), luminance(other)))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (one, other)


def test_a_page_says_what_the_notebook_says():
    exercise = find("magnitude")[1]
    mistake = exercise.mistakes[0]
    said = feedback(check(exercise, mistake.function), f"Hint 1 of 3: {exercise.hints[0]}")
    page = submission_page(graded(lines=said.lines))
    for line in said.lines:
        assert f"<p>{inline(line)}</p>" in page
        assert inline(line) in said._repr_html_()
    assert inline(mistake.says) in page


def test_a_submission_that_was_not_read_has_a_page_that_says_why():
    page = submission_page(unmarked("ada", "ada.ipynb", "unreadable", "It is empty."))
    assert "It is empty." in Reader(page).words


def test_the_summary_counts_and_flags():
    every = [
        graded("ada", points=6, status="passed"),
        graded("bob", points=6, status="passed", copied=True),
        graded("cy", points=0, status="timeout"),
    ]
    unreadable = unmarked("di", "di.ipynb", "unreadable", "It is empty.")
    page = summary_page(rows([*every, unreadable]), [*every, unreadable], ["notes.txt"])
    words = Reader(page).words
    label = "2 passed, 0 partial, 0 failed, 0 not attempted, 0 missing, 2 other"
    assert {"aria-label": label}.items() <= Reader(page).named("svg")[0].items()
    assert "3.0 of 6" in words
    assert "4 learners, 4 submissions; graded by pruneedu 0.1.0 with isolation namespaces." in words
    assert page.count("Identical to the library's source") == 1
    assert page.split("Identical to")[1].split("</ul>")[0].count("<li>") == 1
    slow = page.split("Stopped by the time limit")[1].split("</ul>")[0]
    assert (slow.count("<li>"), slow.count("<code>magnitude</code>")) == (1, 1)
    assert "Ended early" not in page
    assert "unreadable. It is empty." in page
    assert "notes.txt" in words
    assert LIMITS_ONLY not in page


def test_a_total_stands_beside_the_name():
    page = summary_page(rows([graded(points=5)]), [graded(points=5)], [])
    words = [word for word in Reader(page).words if word.strip()]
    marks = words[words.index("Marks") :]
    assert marks[1:3] == ["learner", "total"]
    assert marks[marks.index("ada") + 1].startswith("5 of ")


def test_a_class_without_any_exercise_has_a_summary():
    page = summary_page([], [unmarked("ada", "ada.ipynb", "unreadable", "no")], [])
    assert "No submission holds an exercise" in page


def test_every_status_is_explained_on_the_summary():
    page = summary_page(rows([graded()]), [graded()], [])
    assert all(meaning in page for meaning in STATUSES.values())


def test_text_is_escaped_and_without_control_characters():
    assert text("<&\"'>\x1b[2J\ud800\n") == "&lt;&amp;&quot;&#x27;&gt;\ufffd[2J\ufffd\n"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
@settings(max_examples=100)
def test_a_cell_cannot_become_a_formula_and_comes_back(name):
    for learner in (name, *(f"{sign}{name}" for sign in "=+-@\t\r\n")):
        made = as_csv([Row(learner, "02", "magnitude", 3, 6, "partial")])
        _, (cell, *rest) = csv.reader(made.splitlines(keepends=True))
        assert cell.removeprefix("'") == learner.removeprefix("'")
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert made.splitlines()[0].count(",") == 5
        assert rest == ["02", "magnitude", "3", "6", "partial"]


@pytest.mark.parametrize(
    ("submitted", "status"),
    [
        ([graded(points=2), graded(points=5)], (5, "partial")),
        ([graded(points=0, status="failed"), graded(points=0, status="missing")], (0, "failed")),
        ([graded(points=0, status="timeout"), graded(points=0, status="failed")], (0, "failed")),
    ],
)
def test_the_best_of_a_learners_notebooks_counts(submitted, status):
    row = rows(submitted)[0]
    assert (row.points, row.status) == status
    assert rows(submitted[::-1])[0] == row


def test_why_a_learner_has_no_mark():
    other = graded("ada")
    read = unmarked("bob", "bob/00.ipynb", "graded")
    broken = unmarked("bob", "bob/02.ipynb", "unreadable")
    fault = unmarked("bob", "bob/03.ipynb", "not graded")

    def status(*submitted: Graded) -> set[str]:
        return {row.status for row in rows([other, *submitted]) if row.learner == "bob"}

    assert status(read) == {"missing"}
    assert status(broken) == status(read, broken) == {"unreadable"}
    assert status(read, broken, fault) == {"not graded"}
