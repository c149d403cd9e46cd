"""Show things where the learner is: rich in a notebook, as text elsewhere."""

import sys

from pruneedu.course.feedback import Feedback


def show_answer(answer) -> None:
    """Show a sentence, a figure, or anything that can be displayed."""
    from matplotlib.figure import Figure

    from pruneedu.plotting import show

    if isinstance(answer, Figure):
        show(answer)
    else:
        show_item(Feedback("", (answer,)) if isinstance(answer, str) else answer)


def show_code(title: str, source: str) -> None:
    """Show Python source under a title."""
    if _in_notebook():
        from IPython.display import HTML, display
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer

        # Styles in the text itself: a page made of the notebook has no others for an output.
        form = HtmlFormatter(noclasses=True, prestyles="font-family:monospace;padding:.5em")
        display(HTML(f"<p><b>{title}</b></p>{highlight(source, PythonLexer(), form)}"))
    else:
        print(f"{title}\n\n{source}\n")


def show_item(item) -> None:
    """Display an object in a notebook; print it elsewhere."""
    if _in_notebook():
        from IPython.display import display

        display(item)
    else:
        print(item)


def _in_notebook() -> bool:
    """Whether an IPython kernel runs this; it cannot be so if IPython was never imported."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
