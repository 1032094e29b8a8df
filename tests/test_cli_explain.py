"""`keras-aib explain` with IBA and CoIBA: any classifier, maps in bits."""

import re

import keras
import numpy as np
import pytest
from command_runs import run
from PIL import Image
from training_runs import CLASS_NAMES
from training_runs import make_material
from training_runs import tiny_model

from keras_aib import data
from keras_aib import zoo
from keras_aib.attribution import FeatureStatistics

FEW = "statistics are of 12 images"


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Images, an AIB model, and a plain classifier that knows bright."""
    folder = make_material(tmp_path_factory.mktemp("material"))
    tiny_model().save(folder / "aib.keras")
    pixels = keras.Input((12, 12, 3))
    x = keras.layers.AveragePooling2D(2)(pixels)
    x = keras.layers.Conv2D(3, 1, use_bias=False, name="first")(x)
    x = keras.layers.Conv2D(3, 1, use_bias=False, name="second")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    plain = keras.Model(pixels, keras.layers.Dense(2, name="logits")(x))
    for name in ("first", "second"):
        plain.get_layer(name).set_weights([np.eye(3)[None, None]])
    weights = np.array([[-0.1, 0.1]] * 3), np.array([30.0, -30.0])
    plain.get_layer("logits").set_weights(weights)
    plain.save(folder / "plain.keras")
    return folder


def explain(material, output, *more, model="plain.keras", code=0):
    return run(
        *("explain", material / model, "--images", material / "images"),
        *("--output", output, *more),
        code=code,
    )


def bits_of(output):
    page = (output / "index.html").read_text()
    return [float(x) for x in re.findall(r"([\d.]+) bits, at most", page)]


def test_a_plain_classifier_is_explained_in_bits(material, tmp_path):
    result = explain(material, tmp_path / "a")
    assert result.stderr.count(FEW) == 1
    assert "iba at second" in result.output
    assert "12 images" in result.output
    page = (tmp_path / "a" / "index.html").read_text()
    assert "<th>IBA at second</th>" in page
    # The classes have no names, and the model is right about all.
    assert FEW in page
    assert re.findall(r"<td>(\w+)/\d\.png</td><td>(\d)</td>", page) == [
        *[(CLASS_NAMES[0], "0")] * 6,
        *[(CLASS_NAMES[1], "1")] * 6,
    ]
    bits = bits_of(tmp_path / "a")
    assert len(bits) == 12
    assert min(bits) >= 0 < max(bits)
    overlays = tmp_path / "a" / "overlays"
    with Image.open(overlays / "ant" / "0.png.png") as overlay:
        assert overlay.size == (16, 16)

    saved = tmp_path / "a" / "statistics.npz"
    statistics = FeatureStatistics.load(saved)
    assert (statistics.count, statistics.layers) == (12, ["second"])
    explain(material, tmp_path / "b", "--statistics", saved)
    assert (tmp_path / "b" / "index.html").read_text() == page
    assert not (tmp_path / "b" / "statistics.npz").exists()


@pytest.mark.once
def test_coiba_takes_several_layers_and_a_price(material, tmp_path):
    layers = ("--method", "coiba", "--layer", "first", "--layer", "second")
    total = []
    for beta in (0.01, 100):
        output = tmp_path / str(beta)
        more = ("--beta", beta, "--batch-size", 5)
        result = explain(material, output, *layers, *more)
        assert "coiba at first, second" in result.output
        assert "CoIBA at first, second" in (output / "index.html").read_text()
        total.append(sum(bits_of(output)))
    assert total[0] > 2 * total[1] > 0


@pytest.mark.once
def test_statistics_of_a_dataset(material, tmp_path, monkeypatch):
    asked = []

    def from_spec(spec, image_size, batch_size, subset, shuffle, limit):
        asked.append((spec, image_size, subset, shuffle, limit))
        pixels = np.random.default_rng(0).integers(0, 256, (1000, 12, 12, 3))
        labels = np.arange(1000) % 2
        return data.from_arrays(pixels, labels, batch_size=500)

    monkeypatch.setattr(data, "from_spec", from_spec)
    result = explain(material, tmp_path, "--statistics-images", "cifar10")
    # That is enough images.
    assert "statistics are of" not in result.stderr
    assert "Statistics of 1000 images" in result.output
    assert asked == [("cifar10", (12, 12), "training", False, 10_000)]


@pytest.mark.once
def test_statistics_of_another_folder_leave_out_what_is_torn(
    material, tmp_path
):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "torn.png").write_bytes(b"")
    for shade in (0, 100, 200):
        Image.new("RGB", (20, 20), (shade,) * 3).save(photos / f"{shade}.png")
    result = explain(material, tmp_path / "bits", "--statistics-images", photos)
    assert "statistics are of 3 images" in result.stderr
    statistics = FeatureStatistics.load(tmp_path / "bits" / "statistics.npz")
    np.testing.assert_allclose(statistics.mean("second"), 100, atol=1e-3)
    np.testing.assert_allclose(statistics.stddev("second"), 100, atol=1e-3)


@pytest.mark.once
def test_an_attentive_model_is_explained_either_way(material, tmp_path):
    explain(material, tmp_path / "attention", model="aib.keras")
    page = (tmp_path / "attention" / "index.html").read_text()
    assert "<th>Attention</th>" in page
    assert "bits" not in page
    explain(
        *(material, tmp_path / "bits", "--method", "iba"),
        *("--layer", "attended"),
        model="aib.keras",
    )
    assert len(bits_of(tmp_path / "bits")) == 12


def test_list_layers(material, monkeypatch):
    def load_classifier(name):
        asked.append(name)
        return keras.saving.load_model(material / "plain.keras")

    asked = []
    monkeypatch.setattr(zoo, "load_classifier", load_classifier)
    name = "efficientnet_lite0.imagenet"
    for model in (material / "plain.keras", name):
        result = run("explain", model, "--list-layers")
        assert result.output.splitlines()[-2:] == [
            "first  6 x 6 x 3",
            "second  6 x 6 x 3",
        ]
    assert asked == [name]


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("--method", "attention"), "Explain it with `--method iba`", 1),
        (("--which", "stddev"), "--which belongs to --method attention", 2),
        (("--layer", "frist"), "Near names: ['first'", 1),
        (("--layer", "first", "--layer", "second"), "one --layer", 2),
        (("--statistics", "none.npz"), "No such file", 1),
        (("--statistics", "a", "--statistics-images", "b"), "not both", 2),
        (("--statistics-images", "nothing"), "there is no folder nothing", 1),
        (("--image-size", "30"), "12 x 12 pixels only", 1),
    ],
)
def test_what_is_refused(material, tmp_path, arguments, message, code):
    result = explain(material, tmp_path / "maps", *arguments, code=code)
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "maps" / "index.html").exists()


@pytest.mark.once
def test_options_of_bottlenecks_are_refused_for_attention(material, tmp_path):
    for option, value in (("--layer", "attended"), ("--beta", 1)):
        result = explain(
            material, tmp_path, option, value, model="aib.keras", code=2
        )
        assert f"{option} belongs to --method iba and coiba" in result.output


@pytest.mark.once
def test_what_is_missing_is_named(material, tmp_path):
    given = ("explain", material / "plain.keras", "--images", tmp_path)
    assert "Missing option '--output'" in run(*given, code=2).output
    result = run(*given[:2], "--output", tmp_path, code=2)
    assert "Missing option '--images'" in result.output
    Image.new("RGB", (20, 20)).save(tmp_path / "alone.png")
    output = tmp_path.parent / f"{tmp_path.name}-maps"
    result = run(*given, "--output", output, code=1)
    assert "`--statistics-images`" in result.output


@pytest.mark.once
def test_statistics_of_other_layers_are_refused(material, tmp_path):
    explain(material, tmp_path / "a", "--layer", "first")
    file = tmp_path / "a" / "statistics.npz"
    result = explain(material, tmp_path / "b", "--statistics", file, code=1)
    assert "no statistics of layer 'second'" in result.output
