"""A widget draws what its controls say, fails aloud, and leaves a picture where it cannot run."""

import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from pruneedu.course.widgets import panel, play
from pruneedu.plotting import bars


def draw(height, kind="a"):
    return bars({kind: height}, "height <m>")


def test_each_argument_has_a_control_of_its_kind():
    box, first = panel(draw, height=(0.0, 1.0, 0.25, 0.5), kind=["a", "b"])
    slider, choice, picture = box.children
    assert (type(slider).__name__, slider.min, slider.max, slider.step) == (
        "FloatSlider",
        0,
        1,
        0.25,
    )
    assert (type(choice).__name__, choice.options) == ("Dropdown", ("a", "b"))
    assert slider.description == "height"
    assert first.alt == "Bar chart of height <m>. a: 0.5."
    assert 'alt="Bar chart of height &lt;m&gt;. a: 0.5."' in picture.value
    assert "<p>Bar chart of height &lt;m&gt;. a: 0.5.</p>" in picture.value


def test_whole_numbers_have_a_slider_of_whole_numbers():
    (slider, _), _ = (lambda pair: (pair[0].children, pair[1]))(panel(draw, height=(1, 9, 2, 3)))
    assert type(slider).__name__ == "IntSlider"
    assert slider.value == 3


def test_a_change_draws_again():
    box, _ = panel(draw, height=(1, 9, 1, 3), kind=["a", "b"])
    slider, choice, picture = box.children
    slider.value = 7
    assert "a: 7." in picture.value
    choice.value = "b"
    assert "b: 7." in picture.value


def test_an_exception_at_first_ends_the_call():
    with pytest.raises(ZeroDivisionError):
        panel(lambda height: draw(1 / height), height=(0, 1, 1, 0))


def test_an_exception_later_is_shown_and_raised_and_the_next_state_draws():
    box, _ = panel(lambda height: draw(1 / height), height=(0, 2, 1, 1))
    slider, picture = box.children
    with pytest.raises(ZeroDivisionError):
        slider.value = 0
    assert picture.value == "<pre role='alert'>ZeroDivisionError: division by zero</pre>"
    slider.value = 2
    assert "a: 0.5." in picture.value


@pytest.mark.parametrize(
    ("spec", "words"),
    [([], "height has no choice"), ((0, 1, 1, 2), "height starts at 2: give a start from 0 to 1")],
)
def test_a_control_that_makes_no_sense_is_named(spec, words):
    with pytest.raises(ValueError, match=words):
        panel(draw, height=spec)


def test_a_control_for_no_argument_fails():
    with pytest.raises(TypeError):
        panel(draw, height=(0, 1, 1, 0), colour=["red"])


def test_outside_a_notebook_the_words_of_the_first_state_are_printed(capsys):
    play(draw, height=(1, 9, 1, 3))
    assert capsys.readouterr().out == "Figure: Bar chart of height <m>. a: 3.\n"


@pytest.fixture(scope="module")
def notebook():
    """A notebook with a widget, run."""
    cells = [
        "from pruneedu.course.widgets import play\nfrom pruneedu.plotting import bars",
        "def draw(height):\n    return bars({'a': height}, 'height')",
        "play(draw, height=(1, 9, 1, 3))",
    ]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(made, timeout=60).execute()
    return made


def test_a_notebook_holds_the_widget_and_the_picture_of_its_first_state(notebook):
    live, still = notebook.cells[-1].outputs
    assert "application/vnd.jupyter.widget-view+json" in live.data
    assert live.data["text/plain"] == "Controls, in a running notebook: height"
    assert still.data["text/plain"] == "Figure: Bar chart of height. a: 3."
    assert still.data["text/html"].startswith('<div class="pruneedu-still-height"><img src="data:')


def test_where_the_widget_lives_it_hides_the_picture(notebook):
    state = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    styles = [model["state"].get("value") for model in state.values()]
    assert "<style>.pruneedu-still-height {display: none}</style>" in styles


@pytest.mark.parametrize("with_state", [True, False])
def test_a_page_shows_the_picture_with_its_words(notebook, with_state):
    page_of = nbformat.from_dict(notebook)
    if not with_state:
        page_of = nbformat.from_dict({**notebook, "metadata": {}})
    page, _ = HTMLExporter().from_notebook_node(page_of)
    alts = re.findall(r'<img alt="([^"]*)"|<img [^>]*alt="([^"]*)"', page)
    assert "Bar chart of height. a: 3." in {alt for pair in alts for alt in pair}
