"""The teacher's page of a graded class: marks, how each exercise went, what to look at."""

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import groupby

from pruneedu.course.feedback import inline
from pruneedu.grading.gradebook import Row
from pruneedu.grading.html_page import heads, page, signed, table, text, visible
from pruneedu.grading.results import STATUSES, Graded, Mark

# Okabe and Ito's colours, the same as in the notebook's feedback.
_COLOURS = {
    "passed": "#009e73",
    "partial": "#e69f00",
    "failed": "#d55e00",
    "not attempted": "#56b4e9",
    "missing": "#c8c8c8",
    "other": "#4a4a4a",
}
_BAR = (160, 14)  # width and height of a bar, in pixels
# Marks that are worth a look, by what is said of them.
_KINDS: Mapping[str, Callable[[Mark], bool]] = {
    "Stopped by the time limit": lambda mark: mark.status == "timeout",
    "Ended early, by itself or by a limit": lambda mark: mark.status == "ended early",
    "Identical to the library's source, which earns its points": lambda mark: mark.copied,
}


def summary_page(rows: list[Row], graded: list[Graded], ignored: list[str]) -> str:
    """Return the page of the class: marks, how each exercise went, and what a person should see.

    Arguments: rows, of the gradebook; graded, each submission; ignored, files that are none.
    """
    learners = len({one.learner for one in graded})
    options = graded[0].options
    parts = [
        f"<p>{_count(learners, 'learner')}, {_count(len(graded), 'submission')}; graded by "
        f"pruneedu {text(options.version)} with isolation {text(options.isolation)}.</p>",
        "<h2>To look at</h2>",
        _flags(graded, ignored),
        "<h2>Marks</h2>",
        _marks(rows),
        "<h2>Exercises</h2>",
        _distribution(rows),
        "<h2>Submissions</h2>",
        _submissions(graded),
        "<h2>What the status says</h2>",
        "<ul>",
        *(f"<li>{signed(status)}: {means}</li>" for status, means in STATUSES.items()),
        "</ul>",
    ]
    return page("Gradebook", "\n".join(parts), options.isolation)


def _marks(rows: list[Row]) -> str:
    if not rows:
        return "<p>No submission holds an exercise of the course.</p>"
    first = [row for row in rows if row.learner == rows[0].learner]
    spans = [(number, len(list(group))) for number, group in groupby(first, key=lambda r: r.lesson)]
    above = "".join(f'<th scope="colgroup" colspan="{n}">Lesson {text(x)}</th>' for x, n in spans)
    head = (
        '<tr><th scope="col" rowspan="2">learner</th><th scope="col" rowspan="2">total</th>'
        f"{above}</tr>"
        f"<tr>{heads(*(row.exercise for row in first))}</tr>"
    )
    body = []
    for learner, group in groupby(rows, key=lambda row: row.learner):
        own = list(group)
        cells = "".join(
            f'<td class="number">{row.points}<small>{signed(row.status)}</small></td>'
            for row in own
        )
        total = f"{sum(r.points for r in own)} of {sum(r.max_points for r in own)}"
        name = f'<th scope="row">{text(learner)}</th>'
        body.append(f'{name}<td class="number">{total}</td>{cells}')
    return table(head, body)


def _distribution(rows: list[Row]) -> str:
    names = dict.fromkeys((row.lesson, row.exercise) for row in rows)
    head = heads("lesson", "exercise", *_COLOURS, "mean points", "share of learners")
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


def _flags(graded: list[Graded], ignored: list[str]) -> str:
    """What a person should see: nothing here changes a mark."""
    found = [f"{_link(one)}: {what}" for one in graded for what in _flags_of(one)]
    parts = [_list(found)] if found else ["<p>Everything that was submitted could be graded.</p>"]
    for title, holds in _KINDS.items():
        named = [(one, _names([m.exercise for m in one.marks if holds(m)])) for one in graded]
        if items := [f"{_link(one)}: {names}" for one, names in named if names]:
            parts += [f"<p>{title}:</p>", _list(items)]
    if ignored:
        parts.append("<p>Ignored, since only .ipynb files are submissions:</p>")
        parts.append(_list([f"<bdi>{text(name)}</bdi>" for name in ignored]))
    return "\n".join(parts)


def _flags_of(one: Graded) -> list[str]:
    if one.status != "graded":
        return [f"{one.status}. {inline(visible(' '.join(one.notes)))}"]
    if not one.marks:
        return ["it holds no exercise of the course."]
    failed = [mark.exercise for mark in one.marks if mark.status == "not graded"]
    return [f"{_names(failed)} could not be graded."] if failed else []


def _names(exercises: list[str]) -> str:
    return ", ".join(f"<code>{text(name)}</code>" for name in exercises)


def _list(items: list[str]) -> str:
    return "<ul>\n" + "".join(f"<li>{item}</li>\n" for item in items) + "</ul>"


def _submissions(graded: list[Graded]) -> str:
    body = []
    for one in graded:
        earned, most = (sum(getattr(m, n) for m in one.marks) for n in ("points", "max_points"))
        points = f"{earned} of {most}" if one.marks else ""
        held = ", ".join(dict.fromkeys(mark.lesson for mark in one.marks))
        body.append(
            f'<th scope="row">{_link(one)}</th><td>{text(one.learner)}</td><td>{one.status}</td>'
            f'<td>{text(held)}</td><td class="number">{points}</td>'
        )
    return table(f"<tr>{heads('file', 'learner', 'status', 'lessons', 'points')}</tr>", body)


def _link(graded: Graded) -> str:
    return f'<a href="feedback/{graded.slug}.html"><bdi>{text(graded.file)}</bdi></a>'


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
