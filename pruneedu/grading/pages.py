"""The pages of a graded class: feedback for each submission, and a summary for the teacher."""

from collections import Counter
from itertools import groupby

from pruneedu.course.exercises import lessons
from pruneedu.course.feedback import SIGNS, inline
from pruneedu.grading.gradebook import Row
from pruneedu.grading.html_page import heads, page, table, text, visible
from pruneedu.grading.results import STATUSES, Graded, Mark

# Okabe and Ito's colours, the same as in the notebook's feedback.
_COLOURS = {"passed": "#009e73", "partial": "#e69f00", "failed": "#d55e00", "other": "#767676"}
_BAR = (160, 14)  # width and height of a bar, in pixels


def submission_page(graded: Graded) -> str:
    """Return the page of one submission: its marks, then the same feedback as in the notebook."""
    notes = "".join(f"<li>{inline(visible(note))}</li>" for note in graded.notes)
    parts = [f"<p>File: <bdi><code>{text(graded.file)}</code></bdi></p>"]
    if notes:
        parts.append(f"<h2>About the notebook</h2>\n<ul>{notes}</ul>")
    for number, marks in groupby(graded.marks, key=lambda mark: mark.lesson):
        parts.append(_lesson(number, list(marks)))
    return page(f"Feedback for {graded.learner}", "\n".join(parts), graded.options.isolation)


def summary_page(rows: list[Row], graded: list[Graded]) -> str:
    """Return the page of the class: marks, how each exercise went, and what a person should see."""
    learners = len({one.learner for one in graded})
    options = graded[0].options
    parts = [
        f"<p>{_count(learners, 'learner')}, {_count(len(graded), 'submission')}; graded by "
        f"pruneedu {text(options.version)} with isolation {text(options.isolation)}.</p>",
        "<h2>To look at</h2>",
        _flags(graded),
        "<h2>Marks</h2>",
        _marks(rows),
        "<h2>Exercises</h2>",
        _distribution(rows),
        "<h2>Submissions</h2>",
        _submissions(graded),
        "<h2>What the status says</h2>",
        "<ul>",
        *(f"<li>{_signed(status)}: {means}</li>" for status, means in STATUSES.items()),
        "</ul>",
    ]
    return page("Gradebook", "\n".join(parts), options.isolation)


def _lesson(number: str, marks: list[Mark]) -> str:
    total, most = sum(m.points for m in marks), sum(m.max_points for m in marks)
    cells = [
        f'<th scope="row">{text(m.exercise)}</th>'
        f'<td class="number">{m.points} of {m.max_points}</td><td>{_signed(m.status)}</td>'
        for m in marks
    ]
    return "\n".join(
        [
            f"<h2>Lesson {text(number)}, {text(lessons()[number].title)}: "
            f"{total} of {most} points</h2>",
            table(f"<tr>{heads('exercise', 'points', 'status')}</tr>", cells),
            *(_said(mark) for mark in marks),
        ]
    )


def _said(mark: Mark) -> str:
    kind = mark.status.replace(" ", "-")
    lines = "".join(f"<p>{inline(visible(line))}</p>" for line in mark.lines)
    return f'<h3>{text(mark.exercise)}</h3>\n<div class="said {kind}">{lines}</div>'


def _marks(rows: list[Row]) -> str:
    if not rows:
        return "<p>No submission holds an exercise of the course.</p>"
    first = [row for row in rows if row.learner == rows[0].learner]
    spans = [(number, len(list(group))) for number, group in groupby(first, key=lambda r: r.lesson)]
    above = "".join(f'<th scope="colgroup" colspan="{n}">Lesson {text(x)}</th>' for x, n in spans)
    head = (
        f'<tr><td></td>{above}<th scope="col" rowspan="2">total</th></tr>'
        f"<tr>{heads('learner', *(row.exercise for row in first))}</tr>"
    )
    body = []
    for learner, group in groupby(rows, key=lambda row: row.learner):
        own = list(group)
        cells = "".join(
            f'<td class="number">{row.points}<small>{_signed(row.status)}</small></td>'
            for row in own
        )
        total = f"{sum(r.points for r in own)} of {sum(r.max_points for r in own)}"
        name = f'<th scope="row">{text(learner)}</th>'
        body.append(f'{name}{cells}<td class="number">{total}</td>')
    return table(head, body)


def _distribution(rows: list[Row]) -> str:
    names = dict.fromkeys((row.lesson, row.exercise) for row in rows)
    head = heads("lesson", "exercise", "passed", "partial", "failed", "other", "mean points", "")
    body = []
    for lesson, exercise in names:
        own = [row for row in rows if (row.lesson, row.exercise) == (lesson, exercise)]
        counts = Counter(row.status if row.status in _COLOURS else "other" for row in own)
        mean = sum(row.points for row in own) / len(own)
        body.append(
            f'<td>{text(lesson)}</td><th scope="row">{text(exercise)}</th>'
            + "".join(f'<td class="number">{counts[kind]}</td>' for kind in _COLOURS)
            + f'<td class="number">{mean:.1f} of {own[0].max_points}</td><td>{_bar(counts)}</td>'
        )
    return table(f"<tr>{head}</tr>", body)


def _bar(counts: Counter) -> str:
    """A bar of one hundred per cent, in the order of the columns beside it."""
    width, height = _BAR
    left, parts = 0.0, []
    for kind, colour in _COLOURS.items():
        share = width * counts[kind] / counts.total()
        size = f'x="{left:.1f}" width="{share:.1f}" height="{height}"'
        parts.append(f'<rect {size} fill="{colour}" stroke="#fff"/>')
        left += share
    label = ", ".join(f"{counts[kind]} {kind}" for kind in _COLOURS)
    return (
        f'<svg role="img" aria-label="{label}" width="{width}" height="{height}">'
        f"{''.join(parts)}</svg>"
    )


def _flags(graded: list[Graded]) -> str:
    """What a person should see: nothing here changes a mark."""
    found = []
    for one in graded:
        link = _link(one)
        if one.status != "graded":
            found.append(f"{link}: {one.status}: {inline(visible(' '.join(one.notes)))}")
        elif not one.marks:
            found.append(f"{link}: it holds no exercise of the course.")
        for mark in one.marks:
            name = f"<code>{text(mark.exercise)}</code>"
            if mark.copied:
                found.append(f"{link}: {name} is identical to the library's source.")
            if mark.status == "not graded":
                found.append(f"{link}: {name} could not be graded.")
    if not found:
        return "<p>Nothing: every submission was graded, and none is the library's source.</p>"
    return "<ul>" + "".join(f"<li>{item}</li>\n" for item in found) + "</ul>"


def _submissions(graded: list[Graded]) -> str:
    body = []
    for one in graded:
        points = f"{sum(m.points for m in one.marks)} of {sum(m.max_points for m in one.marks)}"
        held = ", ".join(dict.fromkeys(mark.lesson for mark in one.marks))
        body.append(
            f'<th scope="row">{_link(one)}</th><td>{text(one.learner)}</td><td>{one.status}</td>'
            f'<td>{text(held)}</td><td class="number">{points}</td>'
        )
    return table(f"<tr>{heads('file', 'learner', 'status', 'lessons', 'points')}</tr>", body)


def _link(graded: Graded) -> str:
    return f'<a href="feedback/{graded.slug}.html"><bdi>{text(graded.file)}</bdi></a>'


def _signed(status: str) -> str:
    return f"{SIGNS.get(status, '·')} {text(status)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
