"""Widgets: a thin layer over a pure function from a state to a figure."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from pruneedu.course.errors import LessonError
from pruneedu.plotting.notebook import html, show

if TYPE_CHECKING:
    from ipywidgets import VBox, Widget
    from matplotlib.figure import Figure


def play(render: Callable[..., Figure], **controls: list | tuple) -> None:
    """Show `render(**state)` with a control for each of its arguments, drawn again at each change.

    Where widgets cannot run (a preview, a page, a terminal), the figure of the first state stands
    in, with its text alternative.

    Args:
        render: a pure function that returns a figure with alternative text.
        controls: for each argument of `render` either a list of choices, of which the first is
            shown first, or (low, high, step, start).

    Raises:
        LessonError: a list without a choice, or a start that is not between low and high.
    """
    import ipywidgets
    from IPython import get_ipython
    from IPython.display import display

    box, first = panel(render, **controls)
    if get_ipython() is None:
        show(first)
        return
    # A saved page keeps both outputs. Where the widget lives, its style hides the still picture;
    # where it does not, there is the picture. A widget's own fallback would show in few viewers.
    still = "-".join(("pruneedu-still", *controls))
    style = ipywidgets.HTML(f"<style>.{still} {{display: none}}</style>")
    live = ipywidgets.VBox([style, box])._repr_mimebundle_()
    words = f"Controls, in a running notebook: {', '.join(controls)}"
    display({**live, "text/plain": words}, raw=True)
    picture = f'<div class="{still}">{html(first)}</div>'
    display({"text/html": picture, "text/plain": f"Figure: {first.alt}"}, raw=True)


def panel(render: Callable[..., Figure], **controls: list | tuple) -> tuple[VBox, Figure]:
    """Return the controls above the picture as one widget, and the figure of the first state.

    An exception of `render` ends this call; later, it takes the picture's place and is raised.
    The arguments and the errors are those of `play`.
    """
    import ipywidgets

    made = {name: _control(name, spec) for name, spec in controls.items()}

    def draw() -> Figure:
        return render(**{name: control.value for name, control in made.items()})

    first = draw()
    picture = ipywidgets.HTML(_page(first))

    def update(_change) -> None:
        try:
            picture.value = _page(draw())
        except Exception as error:
            said = escape(f"{type(error).__name__}: {error}")
            picture.value = f"<pre role='alert'>{said}</pre>"
            raise

    for control in made.values():
        control.observe(update, "value")
    return ipywidgets.VBox([*made.values(), picture]), first


def _page(figure: Figure) -> str:
    return f"{html(figure)}<p>{escape(figure.alt)}</p>"


def _control(name: str, spec: list | tuple) -> Widget:
    import ipywidgets

    shared = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if isinstance(spec, list):
        if not spec:
            raise LessonError(f"{name} has no choice: give a list with at least one")
        return ipywidgets.Dropdown(options=spec, value=spec[0], **shared)
    low, high, step, start = spec
    if not low <= start <= high:
        raise LessonError(f"{name} starts at {start}: give a start from {low} to {high}")
    whole = isinstance(step, int)
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    shared |= {"continuous_update": False, "readout_format": "d" if whole else ".3g"}
    return kind(min=low, max=high, step=step, value=start, **shared)
