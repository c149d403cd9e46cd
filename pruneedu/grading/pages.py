"""The page of feedback for one submission."""

from itertools import groupby

from pruneedu.course.exercises import lessons
from pruneedu.course.feedback import inline
from pruneedu.grading.html_page import heads, page, signed, table, text, visible
from pruneedu.grading.results import Graded, Mark


def submission_page(graded: Graded) -> str:
    """Return the page of one submission: its marks, then the same feedback as in the notebook."""
    notes = "".join(f"<li>{inline(visible(note))}</li>" for note in graded.notes)
    parts = [f"<p>File: <bdi><code>{text(graded.file)}</code></bdi></p>"]
    if notes:
        parts.append(f"<h2>About the notebook</h2>\n<ul>{notes}</ul>")
    for number, marks in groupby(graded.marks, key=lambda mark: mark.lesson):
        parts.append(_lesson(number, list(marks)))
    return page(f"Feedback for {graded.learner}", "\n".join(parts), graded.options.isolation)


def _lesson(number: str, marks: list[Mark]) -> str:
    total, most = sum(m.points for m in marks), sum(m.max_points for m in marks)
    cells = [
        f'<th scope="row">{text(m.exercise)}</th>'
        f'<td class="number">{m.points} of {m.max_points}</td><td>{signed(m.status)}</td>'
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
