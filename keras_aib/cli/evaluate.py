"""`keras-aib evaluate`."""

import json

import click

from keras_aib.cli.options import backend_option
from keras_aib.cli.options import batch_size_option
from keras_aib.cli.options import image_size_option
from keras_aib.cli.options import output_kind_option


@click.command()
@click.argument("model", metavar="RUN|MODEL")
@click.option(
    "--data",
    metavar="DIR|tfds:NAME|cifar10",
    help="Images, as for `train`: of a folder of class folders all that the "
    "run was not trained on, else the validation or test part. [default: what "
    "the run held out]",
)
@batch_size_option
@image_size_option
@click.option(
    "--limit",
    type=click.IntRange(1),
    help="Evaluate on at most so many images, drawn at random.",
)
@output_kind_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, no table.")
@backend_option
def evaluate(
    model: str,
    data: str | None,
    batch_size: int,
    image_size: tuple[int, int] | None,
    limit: int | None,
    output_kind: str | None,
    as_json: bool,
    backend: str | None,
) -> None:
    """Accuracy, calibration and rates of a trained model.

    \b
    keras-aib evaluate runs/photos
    keras-aib evaluate runs/photos/last.keras --data test/ --json > test.json

    RUN|MODEL is a run, a .keras file of any Keras classifier, a preset folder,
    or a name that `keras-aib list` shows. Losses are in nats, rates in bits
    per image.
    """
    from keras_aib.runs.evaluation import evaluate_model
    from keras_aib.runs.evaluation import open_images
    from keras_aib.runs.model_source import ModelSource

    source = ModelSource(model)
    images = open_images(source, data, batch_size, image_size, limit)
    figures = evaluate_model(
        source.classifier, images, verbose=0, output_kind=output_kind
    )
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        shown = str(value) if isinstance(value, int) else f"{value:.4f}"
        click.echo(f"{name.replace('_', ' '):28}{shown:>10}")
