"""Show a figure in a notebook so that a screen reader can read it."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show(figure: Figure) -> None:
    """Display `figure` with its text alternative; outside IPython, print the text alternative.

    JupyterLab and nbconvert's default template drop the alternative text of an `image/png`
    output. They keep the `alt` of an `<img>` in an HTML output, so the figure travels as one.

    >>> from pruneedu.plotting import bars
    >>> show(bars({"dense": 266_610}, "parameters"))
    Figure: Bar chart of parameters. dense: 266,610.
    """
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        print(f"Figure: {figure.alt}")
        return
    display({"text/html": html(figure), "text/plain": f"Figure: {figure.alt}"}, raw=True)


def html(figure: Figure) -> str:
    """Return the figure as one `<img>` element, its text alternative escaped."""
    picture = base64.b64encode(png(figure)).decode()
    return f'<img src="data:image/png;base64,{picture}" alt="{escape(figure.alt)}">'


def png(figure: Figure) -> bytes:
    """Return the figure as the bytes of a PNG: the same data give the same bytes."""
    buffer = io.BytesIO()
    # Without this the file would carry the version of matplotlib.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
