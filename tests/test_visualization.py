"""Overlays and grids show what the maps say, where they say it."""

import itertools
import sys

import keras
import matplotlib
import numpy as np
import pytest
from PIL import Image

from keras_aib.visualization import overlay_attention
from keras_aib.visualization import plot_attention
from keras_aib.visualization import plot_explanations

pytestmark = pytest.mark.once

GRAY = np.full((2, 32, 48, 3), 100, dtype="uint8")


@pytest.fixture
def maps():
    """The first map is high in its upper right corner, the second flat."""
    maps = np.full((2, 4, 6), 0.2)
    maps[0, 0, 5] = 0.9
    return maps


def color(value, colormap="inferno"):
    return 255 * np.array(matplotlib.colormaps[colormap](value)[:3])


def texts(figure):
    """All text of a figure, as a reader sees it."""
    return "\n".join(
        text.get_text()
        for text in figure.findobj(matplotlib.text.Text)
        if text.get_text()
    )


def overlay_pictures(figure):
    return [axes.images[0].get_array() for axes in figure.axes[1:-1:2]]


def test_the_highlight_lies_where_the_map_is_high(maps):
    overlay = overlay_attention(GRAY, maps, interpolation="nearest")
    assert overlay.shape == (2, 32, 48, 3)
    assert overlay.dtype == np.uint8
    high = np.rint(0.5 * 100 + 0.5 * color(0.9))
    low = np.rint(0.5 * 100 + 0.5 * color(0.2))
    assert np.all(overlay[0, :8, 40:] == high)
    assert np.all(overlay[0, 8:] == low)
    assert np.all(overlay[0, :, :40] == low)
    assert np.all(overlay[1] == low)


def test_bilinear_is_smooth_and_nearest_keeps_cells(maps):
    values = np.array([[[0.0, 1.0]]])
    image = np.zeros((1, 2, 8, 3))

    def gray(interpolation):
        overlay = overlay_attention(
            image, values, interpolation, colormap="gray", alpha=1.0
        )
        return overlay[0, 0, :, 0].astype(int)

    assert gray("nearest").tolist() == [0] * 4 + [255] * 4
    # Half-pixel centers: pixel x lies at (x + 0.5) / 4 - 0.5 cells.
    place = np.clip((np.arange(8) + 0.5) / 4 - 0.5, 0, 1)
    np.testing.assert_allclose(gray("bilinear"), 255 * place, atol=1.5)


def test_fixed_scale_compares_and_image_scale_stretches():
    faint = np.array([[[0.10, 0.12]], [[0.50, 0.90]]])
    image = np.zeros((2, 2, 4, 3), "uint8")
    options = {"interpolation": "nearest", "alpha": 1.0}
    fixed = overlay_attention(image, faint, scale="fixed", **options)
    stretched = overlay_attention(image, faint, scale="image", **options)
    np.testing.assert_allclose(fixed[0, 0, 0], color(0.10), atol=1)
    np.testing.assert_allclose(fixed[0, 0, 3], color(0.12), atol=1)
    np.testing.assert_allclose(stretched[:, 0, 0], [color(0.0)] * 2, atol=1)
    np.testing.assert_allclose(stretched[:, 0, 3], [color(1.0)] * 2, atol=1)


def test_values_beyond_the_fixed_scale_take_the_color_of_its_end():
    values = np.array([[[-3.0, 0.0, 2.0, 7.0]]])
    image = np.zeros((1, 1, 4, 3), "uint8")
    overlay = overlay_attention(
        image, values, "nearest", value_range=(0.0, 2.0), alpha=1.0
    )
    assert np.all(overlay[0, 0, 0] == overlay[0, 0, 1])
    assert np.all(overlay[0, 0, 2] == overlay[0, 0, 3])
    np.testing.assert_allclose(overlay[0, 0, 3], color(1.0), atol=1)


@pytest.mark.parametrize("scale", ["fixed", "image"])
def test_a_flat_map_is_drawn_flat_and_called_so(maps, scale):
    overlay = overlay_attention(GRAY, maps, scale=scale)
    assert len(np.unique(overlay[1].reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(overlay[0].reshape(-1, 3), axis=0)) > 1
    said = texts(plot_attention(GRAY, maps, scale=scale))
    assert said.count("(flat map: 0.2)") == 1


def test_a_map_of_one_cell_covers_the_photo():
    for interpolation in ("nearest", "bilinear"):
        overlay = overlay_attention(GRAY[:1], [[[1.0]]], interpolation)
        np.testing.assert_allclose(
            overlay[0, ::31, ::47],
            50 + 0.5 * color(1.0) + np.zeros((2, 2, 3)),
            atol=1,
        )


def test_alpha_blends_from_photo_to_map(maps):
    assert np.all(overlay_attention(GRAY, maps, alpha=0.0) == 100)
    covered = overlay_attention(GRAY, maps, alpha=1.0)
    assert np.all(covered == overlay_attention(0 * GRAY, maps, alpha=1.0))


def test_one_photo_floats_and_channels_first_are_the_same(maps):
    expected = overlay_attention(GRAY, maps)
    assert np.all(overlay_attention(GRAY[0], maps[0]) == expected[0])
    assert np.all(overlay_attention(GRAY.astype("float32"), maps) == expected)
    first = np.moveaxis(GRAY, -1, 1)
    overlay = overlay_attention(first, maps, data_format="channels_first")
    assert np.all(overlay == expected)
    keras.config.set_image_data_format("channels_first")
    assert np.all(overlay_attention(first, maps) == expected)


@pytest.mark.parametrize("suffix", ["png", "jpg", "pdf", "svg"])
def test_writes_each_file_type_whole(tmp_path, maps, suffix):
    path = tmp_path / "made" / f"grid.{suffix}"
    figure = plot_attention(GRAY, maps, path=path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    start = {
        "png": b"\x89PNG",
        "jpg": b"\xff\xd8",
        "pdf": b"%PDF",
        "svg": b"<?xml",
    }
    assert path.read_bytes().startswith(start[suffix])
    if suffix in ("png", "jpg"):
        with Image.open(path) as picture:
            assert picture.size == figure.canvas.get_width_height()


def test_a_failed_write_leaves_the_old_file(tmp_path, maps, monkeypatch):
    path = tmp_path / "grid.png"
    path.write_bytes(b"old")

    def full_disk(self, file, **kwargs):
        with open(file, "wb") as unfinished:
            unfinished.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full_disk)
    with pytest.raises(OSError, match="No space left"):
        plot_attention(GRAY, maps, path=path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_captions_tell_truth_prediction_and_probability_in_words(maps):
    figure = plot_attention(
        GRAY,
        maps,
        labels=[0, 1],
        probabilities=[[0.93, 0.07], [0.6, 0.4]],
        class_names=["cat", "a dog with a very long name"],
        title="Test images",
    )
    said = texts(figure)
    assert "true: cat\npredicted: cat\n93%, right" in said
    assert "true: a dog with a very l…\npredicted: cat\n60%, WRONG" in said
    assert "Test images" in said
    colors = {
        text.get_color()
        for text in figure.findobj(matplotlib.text.Text)
        if "true:" in text.get_text()
    }
    assert len(colors) == 2


def test_captions_without_names_or_probabilities(maps):
    assert "true:" not in texts(plot_attention(GRAY, maps))
    said = texts(plot_attention(GRAY, maps, labels=[3, 0]))
    assert "true: class 3" in said
    assert "predicted" not in said
    said = texts(plot_attention(GRAY, maps, predictions=np.array([1, 0])))
    assert "predicted: class 1" in said
    assert "right" not in said


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([0.95, 0.75, 0.05], "predicted: cat\n95%, right\nand: dog, 75%"),
        ([0.75, 0.95, 0.05], "predicted: dog\n95%, right\nand: cat, 75%"),
        ([0.05, 0.3, 0.05], "predicted: dog\n30%, WRONG"),
        ([0.2], "predicted: cat\n80%, right"),
        ([0.7], "predicted: dog\n70%, WRONG"),
    ],
)
def test_captions_say_each_label_with_its_own_probability(maps, row, words):
    names = ["cat", "dog", "owl"]
    figure = plot_attention(
        *(GRAY, maps),
        labels=[0, 0],
        probabilities=[row, row],
        class_names=names,
    )
    assert f"true: cat\n{words}" in texts(figure)


def test_logits_are_no_probabilities(maps):
    with pytest.raises(ValueError, match="Are they logits"):
        plot_attention(GRAY, maps, probabilities=[[3.0, -1.0], [0.5, 0.5]])


def test_the_color_bar_says_the_scale(maps):
    assert "attention score, fixed 0..1" in texts(plot_attention(GRAY, maps))
    said = texts(plot_attention(GRAY, maps, scale="image", units="bits"))
    assert "attention bits, per image min..max" in said
    assert "0.2 to 0.9" in said
    assert "min" in said.splitlines()


@pytest.mark.parametrize(
    ("value_range", "arrows"),
    [((0.0, 1.0), 0), ((0.0, 0.5), 1), ((0.5, 1.0), 1), ((0.3, 0.4), 2)],
)
def test_the_color_bar_points_beyond_a_scale_that_cuts(
    maps, value_range, arrows
):
    figure = plot_attention(GRAY, maps, value_range=value_range)
    assert len(figure.axes[-1].patches) == arrows


def test_every_photo_is_followed_by_its_overlay():
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (13, 8, 8, 3), dtype="uint8")
    maps = rng.uniform(size=(13, 2, 2))
    figure = plot_attention(photos, maps, columns=5)
    assert len(figure.axes) == 2 * 13 + 1
    for index in range(13):
        photo, overlay = figure.axes[2 * index : 2 * index + 2]
        assert np.all(photo.images[0].get_array() == photos[index])
        above, below = photo.get_position(), overlay.get_position()
        assert above.y0 > below.y1
        assert above.x0 == below.x0
    lefts = {round(axes.get_position().x0, 6) for axes in figure.axes[:-1:2]}
    assert len(lefts) == 5


def test_overlays_of_a_grid_have_the_colors_of_the_map_alone(maps):
    photos = GRAY.copy()
    photos[...] = (200, 20, 20)
    luminance = 0.299 * 200 + 0.587 * 20 + 0.114 * 20
    overlay = overlay_pictures(plot_attention(photos, maps))[1]
    expected = 0.5 * luminance + 0.5 * color(0.2)
    np.testing.assert_allclose(overlay[0, 0], expected, atol=1)


def test_pyplot_and_the_matplotlib_backend_are_left_alone(maps):
    loaded = "matplotlib.pyplot" in sys.modules
    backend = matplotlib.rcParams["backend"]
    plot_attention(GRAY, maps)
    assert ("matplotlib.pyplot" in sys.modules) == loaded
    assert matplotlib.rcParams["backend"] == backend


@pytest.mark.parametrize(
    ("missing", "package"), [("matplotlib", "matplotlib"), ("PIL", "pillow")]
)
def test_a_missing_library_is_named(maps, monkeypatch, missing, package):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=f"pip install {package}"):
        overlay_attention(GRAY, maps)


def test_images_scaled_to_one_are_pointed_out(maps):
    with pytest.warns(UserWarning, match=r"pass `255 \* images`"):
        overlay_attention(GRAY / 255.0, maps)
    with pytest.warns(UserWarning, match="before preprocessing"):
        overlay_attention(GRAY - 123.7, maps)
    black = overlay_attention(0.0 * GRAY, maps, alpha=0.0)
    assert not black.any()
    assert not overlay_attention(GRAY // 100, maps, alpha=0.0).max() > 1


@pytest.mark.parametrize(
    ("images", "maps", "message"),
    [
        (np.zeros((2, 8, 8, 3)), np.zeros((4, 4)), r"\[B, H, W, 3\]"),
        (np.zeros((8, 8, 3)), np.zeros((1, 4, 4)), r"\[B, H, W, 3\]"),
        (np.zeros((2, 8, 8, 3)), np.zeros((2, 4, 4, 1)), r"\(2, 4, 4, 1\)"),
        (np.zeros((2, 8, 8, 3)), np.zeros((3, 4, 4)), "2 images, 3 maps"),
        (np.zeros((2, 8, 8, 1)), np.zeros((2, 4, 4)), "1 channels"),
        (np.zeros((2, 3, 8, 8)), np.zeros((2, 4, 4)), "data_format"),
        (np.zeros((0, 8, 8, 3)), np.zeros((0, 4, 4)), "at least one image"),
        (np.zeros((2, 8, 8, 3)), np.zeros((2, 0, 4)), "none of them empty"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(images, maps, message):
    with pytest.raises(ValueError, match=message):
        overlay_attention(images, maps)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(maps, bad):
    maps[1, 2, 3] = bad
    with pytest.raises(ValueError, match="maps hold NaN or infinity: index 1"):
        overlay_attention(GRAY, maps)
    images = GRAY.astype("float32")
    images[0, 0, 0] = bad
    with pytest.raises(ValueError, match=r"images hold NaN .* index 0"):
        plot_attention(images, np.zeros((2, 2, 2)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interpolation": "cubic"}, "`interpolation` must be one of"),
        ({"scale": "batch"}, "`scale` must be one of"),
        ({"value_range": (1.0, 1.0)}, "the lower one first"),
        ({"value_range": (0.0, float("nan"))}, "the lower one first"),
        ({"colormap": "heat death"}, "name of a matplotlib colour map"),
        ({"alpha": 1.5}, r"`alpha` must lie in 0\.\.1"),
        ({"data_format": "HWC"}, "`data_format` must be"),
        ({"columns": 0}, "`columns` must be at least 1"),
        ({"path": "grid.bmp"}, "`path` must end in one of"),
        ({"labels": [1]}, r"`labels` must be one integer per image, \[2\]"),
        ({"labels": [0.5, 1.5]}, "`labels` must be one integer"),
        ({"predictions": [[1], [0]]}, "`predictions` must be one integer"),
        ({"probabilities": [0.5, 0.5]}, r"shape \[2, classes\]"),
        ({"labels": [0, 2], "class_names": ["a", "b"]}, "class index 2"),
        (
            {"predictions": [0, 2], "probabilities": [[0.5, 0.5]] * 2},
            "`probabilities` has 2 classes",
        ),
    ],
)
def test_unknown_options_are_refused(maps, options, message):
    with pytest.raises(ValueError, match=message):
        plot_attention(GRAY, maps, **options)


@pytest.fixture
def bits():
    """Two maps at the photos' size; one pixel is far above the others."""
    bits = np.full((2, 32, 48), 0.5)
    bits[0, :16] = 2.0
    bits[0, 31, 0] = 900.0
    return bits


def pictures_of(figure):
    return [axes for axes in figure.axes if axes.images]


def test_explanations_stand_side_by_side(maps, bits, tmp_path):
    path = tmp_path / "table.png"
    figure = plot_explanations(
        GRAY,
        {"attention": maps, "IBA of block 5": bits},
        path=path,
        units={"attention": "score", "IBA of block 5": "bits per pixel"},
        labels=[1, 0],
        predictions=[1, 1],
        class_names=["cat", "dog"],
        title="Both",
    )
    said = texts(figure).splitlines()
    for text in ("attention", "IBA of block 5", "score", "bits per pixel"):
        assert said.count(text) == 1
    assert "Both" in said
    assert [said.count(text) for text in ("right", "WRONG")] == [1, 1]
    with Image.open(path) as picture:
        assert picture.size == figure.canvas.get_width_height()
    # By column: photos, attention, bits; in each the first image is above.
    places = [axes.get_position() for axes in pictures_of(figure)]
    assert len(places) == 6
    for upper, lower in zip(places[::2], places[1::2], strict=True):
        assert upper.x0 == lower.x0
        assert upper.y0 > lower.y1
    for left, right in itertools.pairwise(places[::2]):
        assert left.x1 < right.x0
        assert left.y0 == right.y0
    assert np.all(pictures_of(figure)[0].images[0].get_array() == GRAY[0])


def test_each_explanation_has_a_scale_of_its_own(maps, bits):
    figure = plot_explanations(
        GRAY,
        {"attention": maps, "bits": bits, "again": bits[:, ::-1]},
        interpolation="nearest",
        alpha=1.0,
    )
    overlays = [axes.images[0].get_array() for axes in pictures_of(figure)[2:]]
    np.testing.assert_allclose(overlays[0][0, 47], color(1.0), atol=1)
    # The outlier does not make all else dark, and its bar has an arrow.
    np.testing.assert_allclose(overlays[2][0, 0], color(1.0), atol=1)
    np.testing.assert_allclose(overlays[2][31, 47], color(0.25), atol=1)
    np.testing.assert_allclose(overlays[3][0, 0], color(0.25), atol=1)
    np.testing.assert_allclose(overlays[4][31, 47], color(1.0), atol=1)
    bars = [axes for axes in figure.axes if not axes.images]
    assert [len(axes.patches) for axes in bars] == [0, 1, 1]
    assert [axes.get_xlim() for axes in bars] == [(0, 0.9), (0, 2), (0, 2)]
    assert texts(figure).splitlines().count("bits per pixel") == 3


def test_scales_of_negative_sparse_and_empty_maps():
    values = np.zeros((3, 1, 40, 40))
    values[0, 0, 0] = -3.0
    values[1, 0, 5, 5] = 7.0
    figure = plot_explanations(
        np.zeros((1, 8, 8, 3), "uint8"),
        dict(zip(("negative", "sparse", "zero"), values, strict=True)),
        units="nats",
    )
    bars = [axes for axes in figure.axes if not axes.images]
    assert [axes.get_xlim() for axes in bars] == [(-3, 0), (0, 7), (0, 1)]


def test_one_photo_is_a_table_of_one_row(maps):
    figure = plot_explanations(GRAY[0], {"a": maps[0], "b": maps[1]})
    assert len(pictures_of(figure)) == 3


@pytest.mark.parametrize(
    ("explanations", "options", "message"),
    [
        ({}, {}, "`explanations` is empty"),
        ({"IBA": np.zeros((3, 4, 4))}, {}, "2 images, 3 maps"),
        ({"IBA": np.full((2, 4, 4), np.nan)}, {}, "maps hold NaN"),
        (
            {"IBA": np.zeros((2, 4, 4))},
            {"units": {"iba": "bits"}},
            r"`explanations`, \['IBA'\]. Received: \['iba'\]",
        ),
        ({"IBA": np.zeros((2, 4, 4))}, {"path": "a.bmp"}, "`path` must end"),
        ({"IBA": np.zeros((2, 4, 4))}, {"labels": [1]}, "`labels` must be"),
    ],
)
def test_explanations_that_cannot_be_drawn(explanations, options, message):
    with pytest.raises(ValueError, match=message):
        plot_explanations(GRAY, explanations, **options)
