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

    >>> from pruneedu.plotting import curves
    >>> show(curves({"a": ([0, 1], [1, 2])}, "step", "loss"))
    Figure: Line plot of loss against step (from 0 to 1). a: 1 at 0, 2 at 1; highest 2 at 1.
    """
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        print(f"Figure: {figure.alt}")
        return
    picture = base64.b64encode(png(figure)).decode()
    image = f'<img src="data:image/png;base64,{picture}" alt="{escape(figure.alt)}">'
    display({"text/html": image, "text/plain": f"Figure: {figure.alt}"}, raw=True)


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # Without the version of matplotlib in it, the same data give the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
