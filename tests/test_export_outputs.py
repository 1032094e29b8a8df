"""What a file gives: probabilities of what the model is, in order, by name."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from exportable import HAS_TENSORFLOW
from exportable import make_images
from exportable import make_model
from photo_module import load_photo_module

from keras_aib.export import ExportError
from keras_aib.export import export
from keras_aib.export.arguments import class_names_as_text
from keras_aib.export.calibration import split_images
from keras_aib.export.conversion import FORMATS
from keras_aib.export.deployed_model import deployed_model
from keras_aib.models.output_head import OutputHead

SHAPE = (16, 16, 3)
IMAGES = make_images(8)


def classifier(activation=None, units=3, **shape):
    inputs = keras.Input(**(shape or {"shape": SHAPE}))
    x = keras.layers.Conv2D(8, 3)(keras.layers.Rescaling(1 / 64)(inputs))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(units, activation)(x))


def softmax(logits):
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


def nested(activation):
    inputs = keras.Input(SHAPE)
    flipped = keras.layers.RandomFlip()(inputs)
    return keras.Model(inputs, classifier(activation)(flipped))


def by_operation():
    model = classifier()
    return keras.Model(model.input, keras.ops.softmax(model.output))


def with_last_dtype():
    model = classifier("softmax")
    last = keras.layers.Activation("linear", dtype="float32")
    return keras.Model(model.input, last(model.output))


@pytest.mark.parametrize(
    "make, activated",
    [
        (lambda: nested("softmax"), None),
        (lambda: nested(None), softmax),
        (by_operation, None),
        (with_last_dtype, None),
        (lambda: classifier("sigmoid"), None),
        (lambda: classifier(units=1), lambda x: 1 / (1 + np.exp(-x))),
        (lambda: classifier("sigmoid", 1), None),
    ],
)
def test_probabilities_once(make, activated):
    model = make()
    predicted = model.predict(IMAGES, verbose=0)
    expected = predicted if activated is None else activated(predicted)
    deployed = deployed_model(model, ["probabilities"])
    outputs = deployed.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)


def test_what_nothing_tells_is_asked(tmp_path):
    model = classifier("softplus")
    path = tmp_path / "model.onnx"
    with pytest.raises(ValueError, match="Pass `output_kind`"):
        export(model, path, outputs=["probabilities"])
    result = export(
        model, path, outputs=["probabilities"], output_kind="label_logits"
    )
    metadata = json.loads(result.metadata_path.read_text())
    assert metadata["activation"] == "sigmoid"
    predicted = model.predict(IMAGES, verbose=0)
    outputs = FORMATS["onnx"].load(path).run(IMAGES)
    np.testing.assert_allclose(
        outputs["probabilities"], 1 / (1 + np.exp(-predicted)), atol=1e-5
    )


@pytest.mark.skipif(not HAS_TENSORFLOW, reason="TensorFlow writes it")
def test_litert_keeps_the_order_of_the_outputs(tmp_path):
    names = ("probabilities", "attention_stddev", "attention")
    result = export(
        make_model(), tmp_path / "model.tflite", outputs=names, images=IMAGES
    )
    assert FORMATS["litert"].load(result.path).outputs == names
    metadata = json.loads(result.metadata_path.read_text())
    assert [*metadata["outputs"]] == [*names]
    assert [x["index"] for x in metadata["outputs"].values()] == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TENSORFLOW, reason="TensorFlow writes int8")
def test_int8_of_fixed_batches(tmp_path):
    result = export(
        classifier(batch_shape=(4, *SHAPE)),
        tmp_path / "model.onnx",
        quantization="int8",
        representative_data=make_images(10),
        outputs=["probabilities"],
        image_size=np.int64(16),
    )
    assert result.num_calibrated == 8
    outputs = FORMATS["onnx"].load(result.path).run(IMAGES[:4])
    assert outputs["probabilities"].shape == (4, 3)


def test_a_model_of_fixed_batches(tmp_path):
    model = classifier(batch_shape=(4, *SHAPE))
    with pytest.raises(ValueError, match="built for 4 images a call"):
        export(model, tmp_path / "m.onnx", batch_size=np.int64(2))
    assert deployed_model(model, ["probabilities"]).input_shape[0] == 4


@pytest.mark.once
def test_calibration_does_not_see_what_a_file_is_judged_by():
    calibration, compared = split_images(IMAGES, None)
    assert (len(calibration), len(compared)) == (6, 2)
    # The same images twice are no other images.
    again = split_images(IMAGES, IMAGES)
    assert (len(again[0]), len(again[1])) == (6, 2)
    others = split_images(IMAGES[:6], IMAGES)
    assert (len(others[0]), len(others[1])) == (6, 2)
    for seen, unseen in ((calibration, compared), again, others):
        assert not any((seen == image).all((1, 2, 3)).any() for image in unseen)
    with pytest.raises(ValueError, match="at least 2"):
        split_images(IMAGES[:1], None)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TENSORFLOW, reason="TensorFlow writes int8")
def test_int8_of_other_images_than_come(tmp_path):
    model = classifier("softmax")
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 20)
    with pytest.raises(ExportError, match="look like those that will come"):
        export(
            model,
            tmp_path / "model.tflite",
            quantization="int8",
            representative_data=IMAGES // 64,
            images=IMAGES,
            outputs=["probabilities"],
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.once
@pytest.mark.parametrize(
    "names, expected",
    [
        (np.unique([7, 3, 5]), ["3", "5", "7"]),
        (np.array(["a", "b", "c"]), ["a", "b", "c"]),
        (np.array([b"a", b"b", b"c"]), ["a", "b", "c"]),
        (["ä".encode(), "b", np.str_("c")], ["ä", "b", "c"]),
        ((1, np.int64(2), "3"), ["1", "2", "3"]),
        (None, None),
    ],
)
def test_class_names_become_text(names, expected):
    received = class_names_as_text(names, 3, None)
    assert received == expected
    assert json.loads(json.dumps(received)) == expected


@pytest.mark.once
@pytest.mark.parametrize(
    "names, error",
    [
        ("abc", "Received: str"),
        ({"a": 0, "b": 1, "c": 2}, "Received: dict"),
        ({"a", "b", "c"}, "Received: set"),
        (["a", None, "c"], "Received: None"),
        ([1.0, 2.0, 3.0], r"Received: 1\.0"),
        (["a", "a", "c"], r"more than once: \['a'\]"),
        ([1, "1", "c"], r"more than once: \['1'\]"),
        (["a", b"\xff", "c"], "UTF-8"),
        (["a", "\udcff", "c"], "UTF-8"),
        (["a", "b"], "the 3 classes.*2 names"),
    ],
)
def test_class_names_that_are_none(names, error):
    with pytest.raises((TypeError, ValueError), match=error):
        class_names_as_text(names, 3, None)


@pytest.mark.once
def test_a_single_output_has_one_name_or_two():
    head = OutputHead("label_logits", 1)
    for names in (["cat"], ["dog", "cat"]):
        assert class_names_as_text(names, 1, head) == names


@pytest.fixture
def photo(monkeypatch):
    return load_photo_module(monkeypatch)


@pytest.mark.once
@pytest.mark.parametrize(
    "activation, names, values, key, said, caption",
    [
        ("softmax", "abc", [0.6, 0.3, 0.1], "class", "a", "a  60.0%"),
        ("sigmoid", "abc", [0.7, 0.3, 0.9], "labels", ["c", "a"], "c  90"),
        ("sigmoid", "abc", [0.2, 0.3, 0.1], "labels", [], "no label"),
        # One output: two classes, or a label.
        ("sigmoid", "ab", [0.2], "class", "a", "a  80.0%"),
        ("sigmoid", "a", [0.2], "labels", [], "no label"),
    ],
)
def test_examples_say_what_probabilities_are(
    photo, activation, names, values, key, said, caption
):
    explanation = photo.explain(
        Path("model.onnx"),
        photo.Description((16, 16), [*names], activation),
        np.array([values]),
        np.zeros((1, 2, 2)),
    )
    answer = json.loads(explanation.to_json())
    assert answer[key] == said
    assert len({"class", "labels"} & {*answer}) == 1
    assert [*answer["probabilities"]] == [*names]
    assert explanation.caption.startswith(caption)


@pytest.mark.once
def test_examples_keep_names_that_come_twice(photo):
    explanation = photo.Explanation(
        ["crane", "crane", "cat"], np.array([0.6, 0.3, 0.1]), np.zeros((1, 1))
    )
    assert json.loads(explanation.to_json())["probabilities"] == {
        "crane (0)": 0.6,
        "crane (1)": 0.3,
        "cat": 0.1,
    }
