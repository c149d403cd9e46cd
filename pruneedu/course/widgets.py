"""Widgets: a thin layer over a pure function from a state to a figure."""

from collections.abc import Callable

from pruneedu.plotting.notebook import png


def play(render: Callable, **controls) -> None:
    """Show `render(**state)` with a control for each of its arguments, drawn again at each change.

    Arguments: render, a pure function that returns a figure with alternative text; controls, for each
    argument either a list of choices or (low, high, step, start).
    Where widgets cannot run (a preview, a page), the figure of the first state stands in.
    """
    import ipywidgets
    from IPython.display import display

    made = {name: _control(ipywidgets, name, spec) for name, spec in controls.items()}

    def draw():
        return render(**{name: control.value for name, control in made.items()})

    first = draw()
    picture = ipywidgets.Image(value=png(first), format="png", alt=first.alt)
    words = ipywidgets.HTML(value=first.alt)

    def update(_change) -> None:
        figure = draw()
        picture.value, words.value = png(figure), figure.alt

    for control in made.values():
        control.observe(update, "value")
    box = ipywidgets.VBox([*made.values(), picture, words])
    # A front end without widgets skips the first entry and shows the picture of the first state.
    bundle = box._repr_mimebundle_()
    display(
        {**bundle, "image/png": png(first), "text/plain": first.alt},
        raw=True,
        metadata={"image/png": {"alt": first.alt}},
    )


def _control(ipywidgets, name: str, spec):
    shared = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if isinstance(spec, list):
        return ipywidgets.Dropdown(options=spec, value=spec[0], **shared)
    low, high, step, start = spec
    whole = isinstance(step, int)
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    form = "d" if whole else ".3g"
    return kind(
        min=low,
        max=high,
        step=step,
        value=start,
        continuous_update=False,
        readout_format=form,
        **shared,
    )
