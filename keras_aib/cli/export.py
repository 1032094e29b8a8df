"""`keras-aib export`."""

from pathlib import Path

import click

from keras_aib.cli.options import backend_option
from keras_aib.cli.options import image_size_option
from keras_aib.cli.options import output_kind_option


@click.command()
@click.argument("model", metavar="RUN|MODEL")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="x.tflite, x.onnx, x.xml for OpenVINO, or a folder for a SavedModel.",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("tf_saved_model", "litert", "onnx", "openvino")),
    help="[default: by the ending of PATH]",
)
@click.option(
    "--quantization",
    type=click.Choice(("float16", "dynamic_range", "int8")),
    help="Smaller and faster: LiteRT has all three, ONNX int8, OpenVINO "
    "float16.",
)
@click.option(
    "--data",
    metavar="DIR|tfds:NAME|cifar10",
    help="Images as for `train`: int8 is calibrated on the part to train on, "
    "and file and model are compared on it. [default: the run's, for int8]",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    help="Take so many of these images, drawn at random.",
)
@click.option(
    "--outputs",
    help="Of probabilities, logits, attention, attention_mean, "
    "attention_stddev. [default: probabilities,attention; of a model without "
    "attention: probabilities]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    help="Fix the number of images per call. [default: any]",
)
@image_size_option
@output_kind_option
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace what an export wrote at PATH.",
)
@backend_option
def export(
    model: str,
    output: Path,
    file_format: str | None,
    quantization: str | None,
    data: str | None,
    limit: int,
    outputs: str | None,
    batch_size: int | None,
    image_size: tuple[int, int] | None,
    output_kind: str | None,
    overwrite: bool,
    backend: str | None,
) -> None:
    """Write a trained model as a file for a phone, a server or a browser.

    \b
    keras-aib export runs/photos --output photos.tflite --quantization int8

    Pixels go in, probabilities and the attention map come out; a JSON file
    beside it says how. The file is loaded in its own runtime and compared with
    the model; one that is not the model is deleted.
    """
    from keras_aib.export import export as export_model
    from keras_aib.models import AIBClassifier
    from keras_aib.runs.evaluation import open_images
    from keras_aib.runs.model_source import ModelSource

    source = ModelSource(model)
    images, class_names = None, list(source.class_names)
    if data is not None or quantization == "int8":
        images = open_images(
            source, data, image_size=image_size, limit=limit, subset="training"
        )
        class_names = class_names or images.class_names
    if outputs is None:
        has_maps = isinstance(source.classifier, AIBClassifier)
        outputs = "probabilities,attention" if has_maps else "probabilities"
    result = export_model(
        source.classifier,
        output,
        format=file_format,
        quantization=quantization,
        representative_data=images,
        outputs=tuple(outputs.split(",")),
        batch_size=batch_size,
        image_size=source.find_image_size(image_size),
        class_names=class_names or None,
        overwrite=overwrite,
        output_kind=output_kind,
    )
    click.echo(result)
