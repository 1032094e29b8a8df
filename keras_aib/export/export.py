"""A trained model as one file, proven equal to the model."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_aib.checks import check_positive_integer
from keras_aib.export.arguments import check_class_names
from keras_aib.export.arguments import check_outputs
from keras_aib.export.arguments import check_quantization
from keras_aib.export.arguments import find_format
from keras_aib.export.conversion import Conversion
from keras_aib.export.deployed_model import check_model
from keras_aib.export.deployed_model import deployed_model
from keras_aib.export.export_error import ExportError
from keras_aib.export.export_result import ExportResult
from keras_aib.export.image_source import first_images
from keras_aib.export.metadata import describe
from keras_aib.export.metadata import write_metadata
from keras_aib.export.parity import check_parity
from keras_aib.export.parity import generated_images
from keras_aib.export.reference import Reference
from keras_aib.export.routes import find_routes
from keras_aib.export.routes import told
from keras_aib.export.single_precision import in_single_precision
from keras_aib.export.target import check_target
from keras_aib.export.target import hidden_folder
from keras_aib.export.target import is_full_disk
from keras_aib.export.target import publish
from keras_aib.export.target import remove
from keras_aib.files import check_free_space

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
    image_size: tuple[int, int] | None = None,
    class_names: Sequence[str] | None = None,
    images: Any = None,
    tolerance: float | None = None,
    overwrite: bool = False,
) -> ExportResult:
    """Write a model as a file that needs neither Keras nor this package.

    Raw pixels 0..255 go in as `images` `[batch, height, width, channels]`;
    preprocessing is in the file. At the end the file is loaded by its own
    runtime and compared with the model, with one image and with several; a
    file that is not the model is deleted, and that is an error. Beside it
    stands a JSON file that says what goes in and what comes out.

    Where the running backend cannot write a format, TensorFlow does it in a
    process of its own, if it is installed; the result says so. A model trained
    in mixed precision is exported in float32.

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
            dataset; 100 images do, at most 500 are read.
        outputs: Which outputs, of `"probabilities"`, `"logits"`,
            `"attention"` (the scores the features were multiplied with),
            `"attention_mean"` (the scores before the anchors) and
            `"attention_stddev"`.
        batch_size: Fixed number of images per call; `None` for any number.
        image_size: Height and width in pixels, for a model that takes any.
        class_names: Names of the classes, for the JSON file.
        images: Images to compare on, like `representative_data`, which is the
            default; without either a few are made up.
        tolerance: Largest difference that is accepted, 1e-4 by default. For a
            quantized file the mean difference counts: 0.01 for `"float16"`,
            0.05 for `"dynamic_range"`, 0.1 for `"int8"`.
        overwrite: Whether to replace what stands at `path`.

    Returns:
        An `ExportResult`: files, size, differences and operators.

    Raises:
        TypeError: If `model` is no Keras model.
        ValueError: If an argument is wrong, or the model was never built.
        FileExistsError: If `path` exists, and `overwrite` is `False`.
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
    check_model(model)
    check_class_names(class_names, model)
    routes = find_routes(file_format, quantization)
    check_target(file_format, path, overwrite)
    model = in_single_precision(model)
    options: dict[str, Any] = {
        "outputs": list(outputs),
        "image_size": image_size,
        "batch_size": batch_size,
    }
    deployed = deployed_model(model, **options)
    shape = tuple(deployed.input_shape[1:])
    representative = None
    if representative_data is not None:
        representative = first_images(
            "representative_data", representative_data, shape
        )
    if images is not None:
        compared = first_images("images", images, shape)
    elif representative is not None:
        compared = representative[:NUM_COMPARED]
    else:
        compared = generated_images(shape)
    reference = Reference(model, options, compared)
    check_free_space(path, ROOM * BYTES_PER_WEIGHT * model.count_params())
    with hidden_folder(path) as folder:
        hidden = folder / path.name
        conversion = Conversion(
            file_format.name,
            quantization,
            hidden,
            reference.batches,
            representative if quantization == "int8" else None,
        )
        failures: list[str] = []
        for route in routes:
            try:
                converted = route.convert(model, deployed, options, conversion)
                parity = reference.compare(converted.outputs)
                check_parity(parity, quantization, tolerance)
                break
            except Exception as error:
                if is_full_disk(error):
                    raise
                failures.append(f"{route.name}: {told(error)}")
                remove(file_format.files(hidden))
        else:
            raise ExportError(
                f"Model {model.name!r} was not exported to "
                f"{file_format.name}; nothing was written. By "
                + "; by ".join(failures)
            )
        metadata = describe(
            deployed,
            model,
            file_format.name,
            quantization,
            class_names,
            parity,
            reference.anchors,
        )
        write_metadata(metadata, file_format.metadata_path(hidden))
        size = publish(file_format.files(hidden), path.parent)
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
        num_ties=parity.num_ties,
        operators=converted.operators,
    )
