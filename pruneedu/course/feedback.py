"""A verdict in words: the same in the notebook, in the terminal and on the grader's page."""

import html
import re
from dataclasses import dataclass

from pruneedu.course.judging import Verdict

COLOURS = {
    "passed": "#009E73",
    "partial": "#E69F00",
    "failed": "#D55E00",
    "not attempted": "#56B4E9",
}
SIGNS = {"passed": "✓", "partial": "◐", "failed": "✗", "not attempted": "○"}
_MARKED = re.compile(r"`([^`]+)`|\*\*(?=\S)([^*]+)(?<=\S)\*\*")


@dataclass(frozen=True)
class Feedback:
    """Text for a learner.

    Attributes:
        status: of a verdict, or "" for what is neither right nor wrong.
        lines: plain text, in which `code` and **bold** may be marked.
    """

    status: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        """Return plain text for a terminal."""
        sign = SIGNS.get(self.status, "·")
        return f"{sign} " + "\n  ".join(_plain(line) for line in self.lines)

    def _repr_html_(self) -> str:
        colour = COLOURS.get(self.status, "#999999")
        body = "".join(f"<p style='margin:.25em 0'>{inline(line)}</p>" for line in self.lines)
        return (
            f"<div role='status' style='border-left:4px solid {colour};padding:.2em .8em;"
            f"margin:.4em 0'>{body}</div>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": str(self)}


def feedback(verdict: Verdict, hint: str = "") -> Feedback:
    """Say a verdict as a teacher would.

    Args:
        verdict: what the judge found.
        hint: the hint to end with, if any.

    Returns:
        What is right, the first thing that is wrong, the known mistake by what it does, the hint.
    """
    name = f"**{verdict.exercise}**"
    if verdict.status == "not attempted":
        return Feedback(verdict.status, (f"{name}: not attempted yet.", *([hint] if hint else [])))
    score = f"{verdict.points} of {verdict.max_points} points"
    if verdict.status == "passed":
        held = ", ".join(text for text, _, _ in verdict.held)
        return Feedback(
            verdict.status, (f"{name} passes: {_cases(verdict)}, {score}.", f"Checked: {held}.")
        )
    lines = [f"{name} is right on {_cases(verdict)}: {score}."]
    if verdict.problem:
        lines.append(verdict.problem)
    if verdict.mistake:
        lines.append(verdict.mistake.says)
    broken = [text for text, _, holds in verdict.held if not holds]
    lines.append("Still open: " + ", ".join(broken) + ".")
    return Feedback(verdict.status, (*lines, *([hint] if hint else [])))


def inline(text: str) -> str:
    """Escape a line for a page, then turn `code` and **bold** into tags.

    >>> inline("`a < b` is **true, as `b > a`**")
    '<code>a &lt; b</code> is <b>true, as <code>b &gt; a</code></b>'
    """
    return _tags(html.escape(text, quote=True))


def _tags(escaped: str) -> str:
    return _MARKED.sub(
        lambda m: f"<code>{m[1]}</code>" if m[1] else f"<b>{_tags(m[2])}</b>", escaped
    )


def _plain(text: str) -> str:
    """Drop the marks of bold; those of code tell code from words."""
    return _MARKED.sub(lambda m: m[2] or m[0], text)


def _cases(verdict: Verdict) -> str:
    return f"{verdict.right} of {verdict.cases} cases"
