"""A trained model as one file, proven equal to the model."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.export.arguments import check_batch_size
from keras_aib.export.arguments import check_outputs
from keras_aib.export.arguments import check_quantization
from keras_aib.export.arguments import class_names_as_text
from keras_aib.export.arguments import find_format
from keras_aib.export.calibration import split_images
from keras_aib.export.conversion import Conversion
from keras_aib.export.conversion import check_operators
from keras_aib.export.deployed_model import check_model
from keras_aib.export.deployed_model import deployed_model
from keras_aib.export.deployed_model import find_head
from keras_aib.export.deployed_model import fixed_batch
from keras_aib.export.export_error import ExportError
from keras_aib.export.export_result import ExportResult
from keras_aib.export.file_process import run_file
from keras_aib.export.image_source import first_images
from keras_aib.export.metadata import describe
from keras_aib.export.metadata import write_metadata
from keras_aib.export.model_outputs import anchors_of
from keras_aib.export.model_outputs import batch_indices
from keras_aib.export.model_outputs import model_outputs
from keras_aib.export.parity import check_parity
from keras_aib.export.parity import compare
from keras_aib.export.parity import find_limits
from keras_aib.export.parity import generated_images
from keras_aib.export.routes import find_routes
from keras_aib.export.routes import told
from keras_aib.export.single_precision import compute_dtype
from keras_aib.export.single_precision import in_single_precision
from keras_aib.export.target import check_target
from keras_aib.export.target import hidden_folder
from keras_aib.export.target import is_full_disk
from keras_aib.export.target import publish
from keras_aib.export.target import remove
from keras_aib.utils.checks import ImageSize
from keras_aib.utils.checks import check_image_size
from keras_aib.utils.checks import check_positive_integer
from keras_aib.utils.files import check_free_space

NUM_COMPARED = 32
BYTES_PER_WEIGHT = 4
# The file itself, and what converters write on the way to it.
ROOM = 3


def export(
    model: keras.Model,
    path: str | os.PathLike,
    format: str | None = None,
    quantization: str | None = None,
    representative_data: Any = None,
    outputs: Sequence[str] = ("probabilities", "attention"),
    batch_size: int | None = None,
    image_size: ImageSize | None = None,
    class_names: Sequence[str] | None = None,
    images: Any = None,
    tolerance: float | None = None,
    overwrite: bool = False,
    output_kind: str | None = None,
) -> ExportResult:
    """Write a model as a file that needs neither Keras nor this package.

    Raw pixels 0..255 go in as `images` `[batch, height, width, channels]`;
    preprocessing is in the file. At the end a process that does nothing else
    loads the file with its own runtime, and what it gives, for one image and
    for several, is compared with `predict` of `model`; a file that is not the
    model is deleted, and that is an error. Beside it stands a JSON file that
    says what goes in and what comes out.

    Where the running backend cannot write a format, TensorFlow does it in a
    process of its own, if it is installed; the result says so. A model that
    computes in half precision is exported in float32; the two differ by what
    the model rounds, and the result says by how much.

    Args:
        model: An `AIBClassifier`, or any Keras classifier of images, for which
            `outputs` must leave out the attention.
        path: Where to write: `.tflite`, `.onnx`, `.xml` for OpenVINO (its
            weights go into `.bin` beside it), or a folder for a SavedModel.
        format: `"tf_saved_model"`, `"litert"`, `"onnx"` or `"openvino"`;
            `None` to go by the ending of `path`.
        quantization: `None`; for LiteRT `"float16"` (half the size),
            `"dynamic_range"` (int8 weights) or `"int8"` (uint8 pixels in,
            integers throughout); for ONNX `"int8"`; for OpenVINO `"float16"`.
        representative_data: For int8: images as they will come, from which
            the ranges of all layers are taken. An array of pixels 0..255 or a
            dataset; 100 images do, at most 500 are read. Without `images`
            every fourth is held out, to judge the file by.
        outputs: Which outputs, in which order, of `"probabilities"` (of
            classes, or each by itself of labels),
            `"logits"`,
            `"attention"` (the scores the features were multiplied with),
            `"attention_mean"` (the scores before the anchors) and
            `"attention_stddev"`.
        batch_size: Fixed number of images per call; `None` for any number that
            the model takes.
        image_size: Height and width in pixels, or one integer for both, for a
            model that takes any.
        class_names: Names of the classes, for the JSON file: strings, bytes or
            integers. Of a single output its own, or those of both classes.
        images: Images to compare on, like `representative_data`, which is the
            default; without either a few are made up. int8 is judged by those
            that calibration did not see.
        tolerance: Largest difference that is accepted, 1e-4 by default, of
            values above 1 in proportion. A quantized file is judged by the
            mean total variation of the probabilities (0.02 for `"float16"`,
            0.1 for `"dynamic_range"`, 0.15 for `"int8"`), the share of images
            clearly in another class (0.02, 0.05, 0.1) and the mean difference
            of the attention (0.01, 0.05, 0.1); `tolerance` replaces all three.
            A model in bfloat16 is allowed 0.125, in float16 0.016 more.
        overwrite: Whether to replace what an export wrote at `path`. What else
            stands there stays.
        output_kind: What the model gives, where neither its last operation nor
            the loss it was compiled with tells: `"logits"` or
            `"probabilities"` of classes of which one is right,
            `"label_logits"` or `"label_probabilities"` of labels of which each
            is right or not.

    Returns:
        An `ExportResult`: files, size, differences and operators.

    Raises:
        TypeError: If `model` is no Keras model, or class names are no names.
        ValueError: If an argument is wrong, or the model was never built.
        FileExistsError: If `path` exists and `overwrite` is `False`, or is
            nothing that an export wrote.
        ImportError: If a package is missing; names the extra.
        ExportError: If the model cannot be converted, or the file is not the
            model.
        OSError: If the file cannot be written. Nothing half written remains.

    Example:

    ```python
    import keras
    from keras_aib.export import export
    from keras_aib.models import AIBClassifier

    inputs = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
    model = AIBClassifier(keras.Model(inputs, features), num_classes=3)
    result = export(model, "model.onnx", overwrite=True)
    print(result.max_difference)
    ```
    """
    path = Path(path)
    file_format = find_format(format, path)
    check_quantization(file_format, quantization, representative_data)
    check_outputs(outputs)
    if batch_size is not None:
        check_positive_integer("batch_size", batch_size)
        batch_size = int(batch_size)
    if image_size is not None:
        image_size = check_image_size(image_size)
    traced = check_model(model)
    check_batch_size(batch_size, fixed_batch(traced))
    head = find_head(traced, outputs, output_kind)
    num_outputs = traced.outputs[0].shape[-1]
    names = class_names_as_text(class_names, num_outputs, head)
    routes = find_routes(file_format, quantization)
    check_target(file_format, path, overwrite)
    single = in_single_precision(traced)
    options: dict[str, Any] = {
        "outputs": list(outputs),
        "image_size": image_size,
        "batch_size": batch_size,
        "output_kind": None if head is None else head.kind,
    }
    deployed = deployed_model(single, **options)
    compared, calibration = _read_images(
        images, representative_data, quantization, deployed.input_shape[1:]
    )
    expected = model_outputs(model, traced, outputs, head, compared)
    indices = batch_indices(len(compared), deployed.input_shape[0])
    expected = {
        name: array[np.concatenate(indices)] for name, array in expected.items()
    }
    anchors = anchors_of(model, outputs)
    dtype = compute_dtype(traced)
    limits = find_limits(quantization, dtype, tolerance)
    check_free_space(path, ROOM * BYTES_PER_WEIGHT * traced.count_params())
    with hidden_folder(path) as folder:
        hidden = folder / path.name
        conversion = Conversion(
            file_format.name, quantization, hidden, calibration
        )
        failures: list[str] = []
        for route in routes:
            try:
                route.convert(single, deployed, options, conversion)
                received = run_file(
                    file_format.name,
                    hidden,
                    [compared[batch] for batch in indices],
                )
                check_operators(received.operators)
                parity = compare(
                    {name: expected[name] for name in outputs},
                    received.joined(),
                    head,
                    anchors,
                    expected.get("attention_mean"),
                )
                check_parity(parity, limits, tolerance)
                break
            except Exception as error:
                if is_full_disk(error):
                    # By the name that the user knows.
                    reason = os.strerror(errno.ENOSPC)
                    raise OSError(errno.ENOSPC, reason, str(path)) from error
                failures.append(f"{route.name}: {told(error)}")
                remove(hidden)
        else:
            reasons = "; by ".join(failures)
            raise ExportError(
                f"Model {model.name!r} was not exported to "
                f"{file_format.name}; nothing was written. By "
                # What the user knows, not where it was tried.
                + reasons.replace(str(hidden), str(path))
                + _remedy(quantization, failures)
            )
        metadata = describe(
            deployed,
            model,
            file_format.name,
            quantization,
            names,
            head,
            parity,
            anchors,
            received.names,
        )
        write_metadata(metadata, file_format.metadata_path(hidden))
        size = publish(file_format, hidden, path)
    return ExportResult(
        path=path,
        metadata_path=file_format.metadata_path(path),
        format=file_format.name,
        quantization=quantization,
        route=route.name,
        size=size,
        num_images=parity.num_images,
        max_difference=parity.max_difference,
        mean_difference=parity.mean_difference,
        agreement=parity.agreement,
        total_variation=parity.total_variation,
        num_ties=parity.num_ties,
        num_calibrated=0 if calibration is None else len(calibration),
        compute_dtype=dtype,
        operators=received.operators,
    )


def _read_images(
    images: Any,
    representative_data: Any,
    quantization: str | None,
    shape: tuple[Any, ...],
) -> tuple[np.ndarray, np.ndarray | None]:
    """Images to compare on, and those to calibrate int8 with."""
    representative = None
    if representative_data is not None:
        representative = first_images(
            "representative_data", representative_data, shape
        )
    if images is not None:
        images = first_images("images", images, shape)
    if quantization == "int8" and representative is not None:
        calibration, compared = split_images(representative, images)
        return compared, calibration
    if images is not None:
        return images, None
    if representative is not None:
        return representative[:NUM_COMPARED], None
    return generated_images(shape), None


def _remedy(quantization: str | None, failures: Sequence[str]) -> str:
    if quantization != "int8" or "differ on" not in failures[-1]:
        return ""
    return (
        ". int8 takes the ranges of all layers from `representative_data`: "
        "pass about 100 images that look like those that will come, of all "
        "classes and in all lights, or leave the quantization out"
    )
