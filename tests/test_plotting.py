"""What the figures show and say, read back from the drawn objects."""

import re

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from pruneedu.plotting import (
    bars,
    curves,
    histograms,
    images,
    mask_beside_curves,
    mask_map,
    scatter,
    sensitivity,
    show,
    unit_explorer,
    unit_histograms,
)
from pruneedu.plotting.notebook import html, png
from pruneedu.plotting.style import COLOURS

X = [0.0, 0.5, 0.9]
TWO_SEEDS = [[0.97, 0.96, 0.5], [0.95, 0.98, 0.7]]

MASK = torch.zeros(4, 6, dtype=torch.bool)
MASK[1, [0, 2]] = True
MASK[3, 2] = True

FIGURES = {
    "curves": lambda: curves(
        {"a": (X, TWO_SEEDS), "b": (X, [0.9, 0.8, 0.1])}, "sparsity", "accuracy", percent="xy"
    ),
    "sensitivity": lambda: sensitivity(
        {"fc1": (X, TWO_SEEDS), "fc2": (X, [0.9, 0.8, 0.1])}, {"fc1": 235_200, "fc2": 1_000}
    ),
    "bars": lambda: bars({"dense": 0.97, "sparse": [0.94, 0.96]}, "accuracy", percent=True),
    "histograms": lambda: histograms({"fc1": torch.randn(50), "fc2": torch.zeros(9)}),
    "mask_map": lambda: mask_map({"fc1.weight": MASK}, pixels=(2, 3)),
    "mask_beside_curves": lambda: mask_beside_curves(
        {"fc1.weight": MASK}, {"a": (X, TWO_SEEDS)}, 0.5, "accuracy"
    ),
    "scatter": lambda: scatter(
        torch.rand(9) + 1, torch.rand(9) + 1, torch.rand(9) + 1, ("size", "pull", "harm")
    ),
    "unit_histograms": lambda: unit_histograms(
        {"a": torch.rand(9), "b": torch.zeros(9)}, 4, {"a": "1.2 nats", "b": "0 nats"}
    ),
    "unit_explorer": lambda: unit_explorer(
        torch.rand(9),
        4,
        (torch.rand(3), torch.rand(3), 1),
        ("entropy", "ablation"),
        {"entropy": (X, TWO_SEEDS)},
    ),
    "images": lambda: images(torch.rand(8, 1, 8, 8), range(8), "Eight digits"),
}

every_figure = pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES.keys())


@every_figure
def test_a_figure_carries_words_and_legible_labels(draw):
    from matplotlib.text import Text

    figure = draw()
    png(figure)  # the layout makes the tick labels
    assert figure.alt.endswith(".")
    assert len(figure.alt) > 30
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert texts
    assert min(text.get_fontsize() for text in texts) >= 10


@every_figure
def test_panels_with_axes_name_them(draw):
    panels = [panel for panel in draw().axes if panel.axison]
    named = [bool(panel.get_ylabel() or panel.patches) for panel in panels]  # bars name themselves
    assert all(named)
    assert all(panel.get_xlabel() for panel in panels if panel.get_label() != "<colorbar>")


@every_figure
def test_lines_and_bars_use_the_palette(draw):
    figure = draw()
    lines = [line for panel in figure.axes for line in panel.lines]
    bodies = [patch for panel in figure.axes for patch in panel.patches]
    used = {to_hex(line.get_color()) for line in lines}
    used |= {to_hex(patch.get_facecolor()) for patch in bodies}
    assert used <= {colour.lower() for colour in COLOURS}


@every_figure
def test_no_figure_is_left_open_in_pyplot(draw):
    from matplotlib import pyplot

    draw()
    assert pyplot.get_fignums() == []


def test_the_same_data_give_the_same_bytes():
    first, second = (png(FIGURES["bars"]()) for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")


# Curves


def test_curves_draw_the_mean_and_the_range_over_seeds():
    (panel,) = curves({"a": (X, TWO_SEEDS)}, "sparsity", "accuracy").axes
    assert np.allclose(panel.lines[0].get_xydata(), [[0, 0.96], [0.5, 0.97], [0.9, 0.6]])
    band = panel.collections[0].get_paths()[0].vertices
    assert {0.5, 0.7} <= set(band[np.isclose(band[:, 0], 0.9), 1].round(6))


def test_curves_say_ends_extremes_and_the_widest_band():
    alt = curves({"a": (X, TWO_SEEDS)}, "sparsity", "accuracy", percent="y").alt
    assert alt == (
        "Line plot of accuracy against sparsity (from 0 to 0.9). a: 96.0 % at 0, 60.0 % at 0.9; "
        "highest 97.0 % at 0.5, lowest 60.0 % at 0.9; means of 2 seeds, which differ most at 0.9 "
        "(50.0 % to 70.0 %)."
    )


def test_series_differ_by_colour_and_by_marker():
    (panel,) = curves(dict.fromkeys("abcdefg", (X, X)), "x", "y").axes
    assert len({line.get_color() for line in panel.lines}) == 7
    assert len({line.get_marker() for line in panel.lines}) == 7
    assert [text.get_text() for text in panel.get_legend().texts] == list("abcdefg")


def test_a_place_is_a_look_whatever_the_figure():
    places = {"a": 0, "b": 3, "b, other": 10, "b, third": 17}
    (panel,) = curves({"b, other": (X, X), "b": (X, X)}, "x", "y", places=places).axes
    other, own = panel.lines
    assert own.get_color() == other.get_color() == COLOURS[3]
    assert (own.get_linestyle(), other.get_linestyle()) == ("-", "--")
    assert own.get_marker() != other.get_marker()
    with pytest.raises(ValueError, match="place is 21; expected 0 to 20"):
        curves({"a": (X, X)}, "x", "y", places={"a": 21})


def test_percent_axes_show_percentages():
    figure = FIGURES["curves"]()
    png(figure)
    (panel,) = figure.axes
    for axis in (panel.xaxis, panel.yaxis):
        assert all(label.get_text().endswith(" %") for label in axis.get_ticklabels())


def test_a_tensor_on_the_graph_is_welcome():
    y = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    assert "1 at 0, 3 at 0.9" in curves({"a": (X, y)}, "x", "y").alt


@pytest.mark.parametrize(
    ("series", "percent", "sentence"),
    [
        ({}, "", "there are 0 series; expected 1 to 7"),
        ({str(name): (X, X) for name in range(8)}, "", "there are 8 series"),
        ({"a": ([], [])}, "", "x of a is empty"),
        ({"a": (X, [1, 2])}, "", r"a has x of shape \[3\] and y of shape \[1, 2\]"),
        ({"a": (X, [1, 2, float("nan")])}, "", "y of a holds nan; expected finite numbers"),
        ({"a": (X, X)}, "z", "percent is 'z'"),
    ],
)
def test_curves_refuse_what_they_cannot_draw(series, percent, sentence):
    with pytest.raises(ValueError, match=sentence):
        curves(series, "x", "y", percent=percent)


# Sensitivity


def test_a_layer_has_one_colour_in_both_panels():
    left, right = FIGURES["sensitivity"]().axes
    lines = [to_hex(line.get_color()) for line in left.lines]
    assert lines == [to_hex(bar.get_facecolor()) for bar in right.patches]
    assert [bar.get_width() for bar in right.patches] == [235_200, 1_000]


def test_sizes_follow_the_order_of_the_series():
    figure = sensitivity({"a": (X, X), "b": (X, X)}, {"b": 2, "a": 1})
    assert figure.alt.endswith("a: 1. b: 2.")
    assert [bar.get_width() for bar in figure.axes[1].patches] == [1, 2]


def test_sensitivity_refuses_other_layers():
    with pytest.raises(ValueError, match="series has the layers fc1 and sizes has fc2"):
        sensitivity({"fc1": (X, X)}, {"fc2": 3})


# Bars


def test_bars_start_at_zero_and_show_the_mean():
    (panel,) = FIGURES["bars"]().axes
    assert [bar.get_x() for bar in panel.patches] == [0, 0]
    assert [bar.get_width() for bar in panel.patches] == pytest.approx([0.97, 0.95])
    assert [text.get_text() for text in panel.texts] == ["97 %", "95 %"]
    assert len(panel.lines) == 1  # the range of the one bar that has seeds
    assert list(panel.lines[0].get_xdata()) == [0.94, 0.96]


@pytest.mark.parametrize(
    ("values", "percent", "texts"),
    [
        ({"a": [0.571, 0.618], "b": [0.84, 0.889]}, False, ["0.59", "0.86"]),
        ({"a": [0.571, 0.618], "b": [0.84, 0.889]}, True, ["59 %", "86 %"]),
        ({"a": [0.9711, 0.9752]}, True, ["97.3 %"]),
        ({"a": [1200.4, 1204.9], "b": 7.25}, False, ["1,203", "7"]),
        ({"a": [-0.3, 0.29]}, False, ["0.0"]),
        ({"a": [0.5, 0.5], "b": 0.12345}, False, ["0.5", "0.1235"]),
    ],
)
def test_bars_round_to_the_digit_in_which_the_seeds_differ(values, percent, texts):
    (panel,) = bars(values, "x", percent=percent).axes
    assert [text.get_text() for text in panel.texts] == texts


def test_bars_refuse_nothing():
    with pytest.raises(ValueError, match="values is empty"):
        bars({}, "bytes")
    with pytest.raises(ValueError, match="dense is empty"):
        bars({"dense": []}, "bytes")


# Weights


def test_histograms_leave_the_zeros_out_and_say_their_share():
    weights = torch.tensor([0.0, 0.0, 0.0, -0.0, 1.0, 2.0, -3.0, 2.0])
    figure = histograms({"fc1": weights})
    (panel,) = figure.axes
    assert sum(bar.get_height() for bar in panel.patches) == 4
    assert panel.get_title() == "fc1\n50.0 % are exactly 0"
    assert "50.0 % of 8 are exactly zero; from -3 to 2, median 0" in figure.alt


def test_histograms_share_their_bins():
    first, second = histograms({"a": torch.randn(20), "b": 5 * torch.randn(30)}).axes
    assert [bar.get_x() for bar in first.patches] == [bar.get_x() for bar in second.patches]


def test_mask_map_says_what_is_empty():
    assert mask_map({"fc1.weight": MASK}, pixels=(2, 3)).alt == (
        "Map of the weights kept. fc1.weight: 12.5 % of 4 × 6; 2 rows and 4 columns empty. "
        "As an image of 2 × 3: 4 pixels cut off; "
        "the one in row 0, column 2 keeps most weights, 2."
    )


def test_mask_map_draws_the_mask_and_the_count_per_pixel():
    matrix, pixels = mask_map({"fc1.weight": MASK}, pixels=(2, 3)).axes[:2]
    assert np.array_equal(matrix.images[0].get_array(), MASK)
    assert pixels.images[0].get_array().tolist() == [[1, 0, 2], [0, 0, 0]]


def test_weights_are_kept_where_they_are_not_zero():
    assert mask_map({"w": MASK * -0.3}).alt == mask_map({"w": MASK}).alt


def test_a_large_matrix_is_drawn_as_shares_of_blocks():
    mask = torch.rand(300, 784, generator=torch.Generator().manual_seed(0)) < 0.2
    mask[:, :400] = False
    drawn = mask_map({"fc1.weight": mask}).axes[0].images[0].get_array()
    assert drawn.shape == (150, 150)
    assert drawn[0, 0] == 0
    edges = np.linspace(0, 784, 150, endpoint=False).astype(int)
    assert drawn[7, 140] == pytest.approx(mask[14:16, edges[140] : edges[141]].float().mean())


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_the_colours_of_a_mask_map_run_from_none_to_all_whatever_the_mask(share):
    mask = torch.rand(200, 30, generator=torch.Generator().manual_seed(0)) < share
    matrix, pixels = mask_map({"fc1.weight": mask}, pixels=(5, 6)).axes[:2]
    assert matrix.images[0].get_clim() == (0, 1)
    assert pixels.images[0].get_clim() == (0, 200)


def test_a_convolution_is_drawn_by_filter():
    matrix = mask_map({"conv1.weight": torch.ones(8, 3, 5, 5)}).axes[0].images[0].get_array()
    assert matrix.shape == (8, 75)


@pytest.mark.parametrize(
    ("masks", "pixels", "sentence"),
    [
        ({}, None, "there are 0 masks; expected 1 to 3"),
        ({"fc1.bias": torch.ones(3)}, None, r"fc1.bias has shape \[3\]; expected \[out, in, …\]"),
        ({"w": MASK}, (2, 2), r"w has 6 inputs and pixels is \(2, 2\), so 4 of them"),
    ],
)
def test_mask_map_refuses_what_it_cannot_draw(masks, pixels, sentence):
    with pytest.raises(ValueError, match=sentence):
        mask_map(masks, pixels)


# Images


def test_images_are_drawn_as_they_are():
    pictures = torch.rand(7, 3, 4, 5)
    panels = images(pictures, "abcdefg").axes
    assert np.allclose(panels[6].images[0].get_array(), pictures[6].permute(1, 2, 0))
    assert [panel.get_title() for panel in panels[:7]] == list("abcdefg")
    assert not any(panel.axison for panel in panels)


def test_images_refuse_what_they_cannot_draw():
    with pytest.raises(ValueError, match="there are 2 titles for 3 images"):
        images(torch.rand(3, 1, 8, 8), ["a", "b"])
    with pytest.raises(ValueError, match=r"pictures has shape \[8, 8\]"):
        images(torch.rand(8, 8), [])


# In a notebook


def test_html_carries_the_picture_and_its_escaped_words():
    from bs4 import BeautifulSoup

    figure = curves({'<"a">': (X, X)}, "x", "y")
    image = BeautifulSoup(html(figure), "html.parser").img
    assert image["alt"] == figure.alt
    assert image["src"].startswith("data:image/png;base64,iVBOR")


def test_outside_a_notebook_the_words_are_printed(capsys):
    assert show(bars({"dense": 3}, "bytes")) is None
    assert capsys.readouterr().out == "Figure: Bar chart of bytes. dense: 3.\n"


def test_in_a_notebook_nbconvert_keeps_the_alternative_text(tmp_path, monkeypatch):
    import nbformat
    from nbconvert import HTMLExporter

    published = []
    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    monkeypatch.setattr("IPython.display.display", lambda data, raw: published.append(data))
    show(bars({"dense": 3}, "bytes"))
    cell = nbformat.v4.new_code_cell("show(figure)")
    cell.outputs = [nbformat.v4.new_output("display_data", published[0])]
    page, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert re.findall(r'alt="([^"]*)"', page) == ["Bar chart of bytes. dense: 3."]
    assert published[0]["text/plain"] == "Figure: Bar chart of bytes. dense: 3."


# Explorer and scatter


def test_the_sparsity_of_the_mask_is_marked_on_the_curves():
    figure = mask_beside_curves({"fc1.weight": MASK}, {"a": (X, TWO_SEEDS)}, 0.5, "accuracy")
    _, right = figure.axes
    assert set(right.lines[-1].get_xdata()) == {0.5}
    assert right.get_ylim()[0] == 0
    assert "12.5 % of 4 × 6" in figure.alt
    assert "Line plot of accuracy against sparsity" in figure.alt
    with pytest.raises(ValueError, match="there are 0 masks; expected one"):
        mask_beside_curves({}, {"a": (X, X)}, 0.5, "accuracy")


def test_scatter_draws_each_point_and_says_the_corners():
    x, y = torch.tensor([1.0, 1.0, 2.0, 9.0, 9.0]), torch.tensor([9.0, 9.0, 2.0, 1.0, 1.0])
    harm = torch.tensor([1.0, 3.0, 5.0, 7.0, 9.0])
    figure = scatter(x, y, harm, ("size", "pull", "harm"))
    points = figure.axes[0].collections[0].get_offsets()
    assert np.allclose(points, torch.stack([x, y], 1))
    assert figure.alt.endswith("Median of harm: low size, high pull 2; high size, low pull 8.")


def test_scatter_refuses_what_has_no_logarithm_or_no_partner():
    with pytest.raises(ValueError, match="pull holds 0, which has no place"):
        scatter([1.0], [0.0], [1.0], ("size", "pull", "harm"))
    with pytest.raises(ValueError, match="size has 2 points and harm has 1"):
        scatter([1.0, 2.0], [1.0, 2.0], [1.0], ("size", "pull", "harm"))


def test_a_unit_has_as_many_bins_as_asked_over_its_own_range():
    values = {"a": [0.0, 0.0, 1.0, 4.0], "b": [10.0, 20.0, 30.0, 50.0]}
    figure = unit_histograms(values, 4, {"a": "left", "b": "right"})
    for panel, counts, (low, high) in zip(
        figure.axes, ([2, 1, 0, 1], [1, 1, 1, 1]), ((0, 4), (10, 50)), strict=True
    ):
        assert [bar.get_height() for bar in panel.patches] == counts
        assert panel.patches[0].get_x() == low
        assert panel.patches[-1].get_x() + panel.patches[-1].get_width() == high


def test_an_explorer_marks_the_chosen_unit():
    scores, others = [3.0, 1.0, 2.0], [0.3, 0.1, 0.2]
    lines = {"entropy": (X, [0.9, 0.8, 0.1])}
    figure = unit_explorer([0.0, 1.0], 2, (scores, others, 2), ("entropy", "ablation"), lines)
    every, chosen = figure.axes[1].collections
    assert every.get_offsets().tolist() == [[3.0, 0.3], [1.0, 0.1], [2.0, 0.2]]
    assert chosen.get_offsets().tolist() == [[2.0, 0.2]]
    assert "unit 2 is at 2 and 0.2." in figure.alt
