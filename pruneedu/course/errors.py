"""Errors that a learner causes in a notebook: there each is one line, without a traceback."""


class _OneLine(Exception):  # noqa: N818 - a part of the errors below
    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of the traceback."""
        return [f"{type(self).__name__}: {self}"]


class CheckFailed(_OneLine, AssertionError):  # noqa: N818 - it reads as what happened
    """Raised by a check that an answer does not pass; the feedback has been shown before."""


class LessonError(_OneLine, ValueError):
    """What a lesson was asked for does not exist, or cannot be read; the sentence says which."""
