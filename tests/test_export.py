"""Every format, from the running backend: the file is the model."""

import json

import keras
import numpy as np
import pytest
from exportable import CLASS_NAMES
from exportable import HAS_TENSORFLOW
from exportable import IMAGE_SIZE
from exportable import NUM_CLASSES
from exportable import PATHS
from exportable import make_images
from exportable import make_model

from keras_aib.export import export
from keras_aib.export.conversion import FORMATS

MAP_SIDE = IMAGE_SIZE // 2
QUANTIZED = [
    (form, quantization)
    for form in PATHS
    for quantization in FORMATS[form].quantizations
    # In a process of its own it is TensorFlow again: once is enough.
    if FORMATS[form].can_write(keras.config.backend(), quantization)
    or (HAS_TENSORFLOW and quantization == "int8")
]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return make_model()


def probabilities(model, images):
    logits = model.predict(images, verbose=0)
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """Each format once; the results by format."""
    folder = tmp_path_factory.mktemp("exported")
    return {
        form: export(model, folder / name, class_names=CLASS_NAMES)
        for form, name in PATHS.items()
    }


@pytest.fixture(params=PATHS)
def result(request, exported):
    return exported[request.param]


def run(result, images):
    """What anybody's runtime makes of the file."""
    if result.format == "tf_saved_model" and (
        keras.config.backend() != "tensorflow"
    ):
        return None
    return FORMATS[result.format].load(result.path).run(images)


def test_the_file_is_the_model(result, model):
    images = make_images()
    outputs = run(result, images)
    if outputs is None:
        # TensorFlow does not come beside JAX or torch; it compared by itself.
        outputs = {}
    else:
        assert set(outputs) == {"probabilities", "attention"}
    expected = {
        "probabilities": probabilities(model, images),
        "attention": model.attention(images)["quantized"],
    }
    for name, array in outputs.items():
        np.testing.assert_allclose(array, expected[name], atol=1e-5)
    assert set(result.max_difference) == set(expected)
    assert max(result.max_difference.values()) < 1e-5
    assert result.agreement == 1
    assert result.num_images == 4


def test_the_attention_in_the_file_differs_from_place_to_place(model):
    attention = model.attention(make_images())["quantized"]
    assert len(np.unique(attention)) > 2


def test_any_number_of_images(result, model):
    images = make_images(5)
    for count in (1, 5, 2):
        outputs = run(result, images[:count])
        if outputs is not None:
            np.testing.assert_allclose(
                outputs["probabilities"],
                probabilities(model, images[:count]),
                atol=1e-5,
            )
    assert read_json(result)["input"]["shape"][0] is None


def read_json(result):
    return json.loads(result.metadata_path.read_text(encoding="utf-8"))


def test_what_stands_beside_the_file(result):
    metadata = read_json(result)
    assert metadata["format"] == result.format
    assert metadata["quantization"] is None
    assert metadata["class_names"] == list(CLASS_NAMES)
    assert metadata["input"] == {
        "name": "images",
        "shape": [None, IMAGE_SIZE, IMAGE_SIZE, 3],
        "dtype": "float32",
        "channels": "RGB",
        "values": [0, 255],
        "resize": "the whole image, bilinear with antialiasing; the aspect "
        "ratio is not kept",
    }
    assert metadata["activation"] == "softmax"
    indices = [x.pop("index", None) for x in metadata["outputs"].values()]
    by_name = result.format == "tf_saved_model"
    assert indices == ([None, None] if by_name else [0, 1])
    assert metadata["outputs"] == {
        "probabilities": {
            "shape": [None, NUM_CLASSES],
            "dtype": "float32",
        },
        "attention": {
            "shape": [None, MAP_SIDE, MAP_SIDE],
            "dtype": "float32",
            "values": [0.0, 1.0],
        },
    }
    assert metadata["parity"]["max_difference"] == result.max_difference


def test_the_size_is_that_of_all_files(result):
    files = [result.metadata_path, result.path]
    if result.format == "openvino":
        files.append(result.path.with_suffix(".bin"))
    if result.path.is_dir():
        files = [path for path in result.path.rglob("*") if path.is_file()]
    assert result.size == sum(path.stat().st_size for path in files)


def test_only_inference_is_in_the_file(result):
    names = " ".join(result.operators).lower()
    assert "random" not in names
    assert "flex" not in names
    assert sum(result.operators.values()) > 10


def test_who_wrote_it_is_said(result):
    backend = keras.config.backend()
    direct = backend in FORMATS[result.format].backends
    expected = backend if direct else "TensorFlow in a process of its own"
    assert result.route == expected
    assert f"by {expected}" in str(result)


def test_nothing_else_is_left(exported):
    folder = next(iter(exported.values())).path.parent
    expected = {PATHS[form] for form in exported}
    expected |= {
        f"{PATHS[form]}.json" for form in exported if form != "tf_saved_model"
    }
    expected.add("model.bin")
    assert {path.name for path in folder.iterdir()} == expected


@pytest.mark.parametrize("form, quantization", QUANTIZED)
def test_quantized(model, exported, tmp_path, form, quantization):
    # Neither black nor white, from which the range of uint8 would follow.
    images = make_images(20) / 2 + 60
    small = export(
        model,
        tmp_path / PATHS[form],
        quantization=quantization,
        representative_data=images if quantization == "int8" else None,
        images=images,
    )
    outputs = FORMATS[form].load(small.path).run(images)
    expected = probabilities(model, images)
    assert np.abs(outputs["probabilities"] - expected).max() < 0.05
    # Every fourth was kept from calibration, to judge by.
    compared = 5 if quantization == "int8" else 20
    assert small.num_images + small.num_ties == compared
    assert small.num_calibrated == (15 if quantization == "int8" else 0)
    metadata = read_json(small)
    assert metadata["quantization"] == quantization
    is_whole = (form, quantization) == ("litert", "int8")
    assert metadata["input"]["dtype"] == ("uint8" if is_whole else "float32")
    if is_whole:
        assert_pixels_stay_pixels(small.path)


def assert_pixels_stay_pixels(path):
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner("serving_default")
    details = runner.get_input_details()["images"]
    assert details["dtype"] == np.uint8
    assert details["quantization"] == (1.0, 0)
