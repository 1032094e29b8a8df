"""The sweep over the zoo: what it records, and that it still holds."""

import csv

import keras
import numpy as np
import pytest
from exportable import PATHS
from exportable import make_images
from exportable import make_model

from keras_aib.export.conversion import FORMATS
from keras_aib.zoo.recipes import exports
from keras_aib.zoo.recipes import quantization
from keras_aib.zoo.recipes import tables
from keras_aib.zoo.recipes.results import read_rows

BACKENDS = ("tensorflow", "jax", "torch")
# One of each kind: convolutions with trained weights, a vision transformer.
SOME = ("aib_efficientnet_lite0.cifar10", "aib_deit_tiny.imagenet")


def recorded():
    return {
        (row["model"], row["format"], row["backend"]): row
        for row in read_rows(exports.EXPORTS)
    }


def check(name, formats):
    """What the table says of a model is what happens."""
    model, arguments = exports.build_model(name)
    for form in formats:
        outcome = exports.export_model(model, arguments, form)
        row = recorded().get((name, form, keras.config.backend()))
        # What nobody tried yet should work.
        expected = "yes" if row is None else row["works"]
        assert outcome["works"] == expected, outcome


@pytest.mark.large
@pytest.mark.parametrize(
    "name",
    # On torch TensorFlow writes two of the transformer's files.
    [SOME[0], pytest.param(SOME[1], marks=pytest.mark.once)],
)
def test_some_models_go_where_the_table_says(name):
    check(name, PATHS)


@pytest.mark.sweep
@pytest.mark.parametrize("name", exports.exportable_models())
def test_every_model_goes_where_the_table_says(name):
    check(name, FORMATS)


@pytest.mark.once
def test_every_model_was_tried_with_every_format():
    models = exports.exportable_models()
    tried = {(name, form) for name, form, _ in recorded()}
    assert tried == {(name, form) for name in models for form in FORMATS}
    assert {backend for _, _, backend in recorded()} == set(BACKENDS)


@pytest.mark.once
def test_every_classifier_is_tried():
    names = exports.exportable_models()
    families = ("vgg", "wrn", "lite", "resnet", "mobilenet", "densenet", "vit")
    for family in families:
        assert any(family in name for name in names), family
    # It has no classification head.
    assert "vgg16.imagenet" not in names
    assert len(names) >= 25


def test_attention_is_not_flat_before_it_is_compared():
    model = make_model()
    attention = model.attention_block.attention
    for weight in attention.trainable_weights:
        weight.assign(np.zeros(weight.shape))
    assert len(np.unique(model.attention(make_images())["mean"])) == 1
    exports.roughen_attention(model, make_images())
    scores = model.attention(make_images())["mean"]
    assert len(np.unique(scores)) > 100
    assert np.abs(scores - 0.5).max() < exports.LARGEST_CONTRAST


def test_logits_differ_between_images_before_they_are_compared():
    model, images = make_model(), make_images()
    for weight in model.decoder.trainable_weights:
        weight.assign(weight * 1e-6)
    exports.spread_logits(model, images)
    logits = model.predict(images, verbose=0)
    assert logits.std(axis=0).mean() == pytest.approx(1, rel=1e-3)
    np.testing.assert_allclose(logits.mean(axis=0), 0, atol=1e-3)


def test_logits_that_never_differ_are_no_comparison():
    model, images = make_model(), make_images()
    for weight in model.decoder.trainable_weights:
        weight.assign(weight * 0)
    with pytest.raises(ValueError, match="do not depend on the image"):
        exports.spread_logits(model, images)


def test_what_happened_is_recorded(tmp_path):
    model = make_model()
    works = exports.export_model(model, {}, "onnx")
    assert works["works"] == "yes"
    assert works["size"] > 1000
    assert float(works["max_difference"]) < 1e-4
    fails = exports.export_model(model, {"outputs": ["heat"]}, "onnx")
    assert fails["works"] == "no"
    assert fails["error"].startswith("ValueError: `outputs` must be")
    assert "\n" not in fails["error"]


@pytest.mark.once
def test_the_first_line_of_an_error_says_something():
    assert exports.first_lines("ValueError: bad\nmore") == "ValueError: bad"
    wrapped = (
        "ExportError: By x: Exception encountered when calling A.call().\n\n"
        "\x1b[1mout of memory\x1b[0m\n\nArguments received"
    )
    assert exports.first_lines(wrapped).endswith("A.call(). out of memory")


@pytest.mark.once
def test_a_row_replaces_what_it_repeats(tmp_path):
    path = tmp_path / "exports.csv"
    row = dict.fromkeys(exports.COLUMNS, "")
    one = {**row, "model": "a", "format": "onnx", "backend": "jax"}
    exports.record({**one, "works": "no"}, path)
    exports.record({**one, "format": "litert", "works": "no"}, path)
    exports.record({**one, "works": "yes"}, path)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["format"], row["works"]) for row in rows] == [
        ("litert", "no"),
        ("onnx", "yes"),
    ]


@pytest.mark.once
def test_what_is_there_is_not_done_again(tmp_path, monkeypatch, capsys):
    tried = []

    def pretend(model, options, form):
        tried.append(form)
        return {"format": form, "works": "yes", "route": "x"}

    monkeypatch.setattr(exports, "export_model", pretend)
    monkeypatch.setattr(exports, "build_model", lambda name: (None, {}))
    arguments = ["--models", SOME[0], "--output", str(tmp_path / "e.csv")]
    exports.main([*arguments, "--formats", "onnx"])
    assert tried == ["onnx"]
    exports.main(arguments)
    assert sorted(tried) == sorted(FORMATS)
    exports.main(arguments)
    assert len(tried) == len(FORMATS)
    exports.main([*arguments, "--again"])
    assert len(tried) == 2 * len(FORMATS)
    assert "works" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        exports.main(["--formats", "tflite"])


@pytest.mark.once
def test_the_table():
    row = {**dict.fromkeys(exports.COLUMNS, ""), "model": "m"}
    rows = [
        {**row, "format": "onnx", "backend": "jax", "works": "yes"},
        {**row, "format": "onnx", "backend": "torch", "works": "no"},
        {**row, "format": "litert", "backend": "jax", "works": "yes"},
    ]
    rows[0]["route"] = "jax"
    rows[1]["error"] = "ExportError: Model 'm' ...; nothing was written. By x"
    rows[2]["route"] = "TensorFlow in a process of its own"
    table = tables.exports_table(rows)
    assert "| model | onnx | litert |" in table
    assert "| `m` | ✓ ✗ (1) | ✓ᵗ - |" in table
    assert "1. `x`" in table


@pytest.mark.once
def test_figures_of_quantization_by_hand():
    labels = np.array([0, 1])
    reference = {
        "probabilities": np.array([[0.9, 0.1], [0.2, 0.8]]),
        "attention": np.zeros((2, 1, 1)),
        "size": np.array(100.0),
    }
    outputs = {
        "probabilities": np.array([[0.9, 0.1], [0.6, 0.4]]),
        "attention": np.full((2, 1, 1), 0.5),
        "size": np.array(25.0),
    }
    assert quantization.compare(outputs, reference, labels) == {
        "accuracy": 0.5,
        "accuracy_lost": 0.5,
        "agreement": 0.5,
        "attention_difference": 0.5,
        "size": 25.0,
        "size_ratio": 0.25,
    }
