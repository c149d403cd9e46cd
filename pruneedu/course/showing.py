"""Show things where the learner is: rich in a notebook, as text elsewhere."""

from pruneedu.course.feedback import Feedback
from pruneedu.notebook import in_notebook


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
    if in_notebook():
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
    if in_notebook():
        from IPython.display import display

        display(item)
    else:
        print(item)
