"""`keras-aib explain`."""

from pathlib import Path
from typing import Any

import click

from keras_aib.cli.options import backend_option
from keras_aib.cli.options import image_size_option
from keras_aib.cli.options import output_kind_option
from keras_aib.cli.spoken_warnings import spoken_warnings

STATISTICS_FILE = "statistics.npz"
OF_ATTENTION = ("which",)
OF_BOTTLENECKS = ("layer", "statistics", "statistics_images", "beta")
# A bottleneck draws ten copies of each image.
BATCH_SIZES = {"attention": 32, "iba": 8, "coiba": 8}


@click.command()
@click.argument("model", metavar="RUN|MODEL")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of images; those in its subfolders are taken too.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for overlays/, index.html and statistics.npz.",
)
@click.option(
    "--method",
    type=click.Choice(tuple(BATCH_SIZES)),
    help="The model's own attention, or the bits that its decision rests on. "
    "[default: attention if the model has it, else iba]",
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="PATH",
    help="Where iba restricts the features; for coiba, repeat it. [default: "
    "level P4, or what is most like it; in a transformer without its first "
    "third the first block for iba, all first norms for coiba]",
)
@click.option(
    "--statistics",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Feature statistics that an earlier call left in its output.",
)
@click.option(
    "--statistics-images",
    metavar="DIR|tfds:NAME|cifar10",
    help="Estimate them from these images, 10,000 at most, better no fewer "
    "than 1,000. [default: those to be explained]",
)
@click.option(
    "--beta",
    type=click.FloatRange(0),
    help="Price of a bit: a higher one keeps less. [default: iba 10, coiba 1]",
)
@click.option(
    "--which",
    type=click.Choice(("mean", "stddev", "quantized")),
    help="The attention map to draw: the score, its standard deviation, or "
    "the score that the features were multiplied with. [default: mean]",
)
@click.option(
    "--scale",
    type=click.Choice(("fixed", "image")),
    help="Colours of values 0 to 1, or of each image's own range. [default: "
    "fixed; image for stddev and for bits per pixel, which are small]",
)
@click.option(
    "--list-layers", is_flag=True, help="List what --layer can be, and end."
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    help="Images at once. [default: 32; 8 for iba and coiba]",
)
@output_kind_option
@image_size_option
@backend_option
def explain(
    model: str,
    images: Path | None,
    output: Path | None,
    method: str | None,
    layers: tuple[str, ...],
    statistics: Path | None,
    statistics_images: str | None,
    beta: float | None,
    which: str | None,
    scale: str | None,
    list_layers: bool,
    batch_size: int | None,
    output_kind: str | None,
    image_size: tuple[int, int] | None,
    backend: str | None,
) -> None:
    """Draw where a model looks in the images of a folder.

    \b
    keras-aib explain runs/photos --images holiday/ --output maps/
    keras-aib explain efficientnet_lite0.imagenet --images holiday/ \\
        --output bits/ --statistics-images photos/

    The page maps/index.html holds its pictures itself and can be sent as one
    file. Images that cannot be read are named and left out.

    IBA and CoIBA explain any classifier from pixels 0 to 255 to logits or
    probabilities: a run, a .keras file, or a plain network of the zoo.
    """
    from keras_aib import attribution
    from keras_aib.models import AIBClassifier
    from keras_aib.models.output_head import find_output_head
    from keras_aib.runs import explanation
    from keras_aib.runs import explanation_maps
    from keras_aib.runs.explained_layers import choose_layers
    from keras_aib.runs.model_source import ModelSource

    source = ModelSource(model)
    if list_layers:
        size = source.find_image_size(image_size)
        for path, shape in attribution.list_layers(
            source.classifier, image_size=size
        ).items():
            click.echo(f"{path}  {' x '.join(map(str, shape))}")
        return
    if images is None or output is None:
        name = "images" if images is None else "output"
        raise click.UsageError(f"Missing option '--{name}'.")
    if None not in (statistics, statistics_images):
        raise click.UsageError(
            "Give --statistics, or --statistics-images to estimate them from, "
            "not both."
        )
    classifier = source.classifier
    has_attention = isinstance(classifier, AIBClassifier)
    method = method or ("attention" if has_attention else "iba")
    _refuse_options_of_the_other(method)
    if method == "iba" and len(layers) > 1:
        raise click.UsageError(
            f"--method iba restricts one --layer. Received: {len(layers)}. "
            "Name one, or use --method coiba."
        )
    try:
        find_output_head(classifier, output_kind)
    except ValueError as error:
        message = str(error).replace("`output_kind`", "`--output-kind`")
        raise ValueError(message) from error
    size = source.find_image_size(image_size)
    if method == "attention" and not has_attention:
        raise ValueError(
            f"{model} has no attention. Explain it with `--method iba` or "
            "`--method coiba`."
        )
    with spoken_warnings() as warned:
        count = len(explanation.find_images_to_explain(images, output))
        batch_size = min(batch_size or BATCH_SIZES[method], count)
        if method == "attention":
            maps = explanation_maps.attention_maps(classifier, which or "mean")
        else:
            chosen = list(layers) or choose_layers(classifier, method, size)
            click.echo(f"{method} at {', '.join(chosen)}")
            if statistics is not None:
                features = attribution.FeatureStatistics.load(statistics)
            else:
                _check_statistics_file(output / STATISTICS_FILE)
                features = explanation_maps.statistics_of_images(
                    classifier, chosen, statistics_images or images, size
                )
                output.mkdir(parents=True, exist_ok=True)
                features.save(output / STATISTICS_FILE)
                click.echo(
                    f"Statistics of {features.count} images: use them again "
                    f"with --statistics {output / STATISTICS_FILE}"
                )
            maps = explanation_maps.bottleneck_maps(
                classifier,
                method,
                chosen,
                features,
                beta,
                batch_size,
                output_kind,
            )
        is_small = maps.is_in_bits or which == "stddev"
        explained = explanation.explain_folder(
            classifier,
            maps,
            images,
            output,
            image_size=size,
            class_names=source.class_names,
            scale=scale or ("image" if is_small else "fixed"),
            batch_size=batch_size,
            output_kind=output_kind,
            warned=warned,
        )
    for name in explained.unreadable:
        click.echo(f"Not readable: {name}", err=True)
    click.echo(f"{explained.num_images} images: {explained.page}")


def _check_statistics_file(path: Path) -> None:
    from keras_aib.attribution import FeatureStatistics

    if not path.exists():
        return
    try:
        FeatureStatistics.load(path)
    except (OSError, ValueError) as error:
        raise FileExistsError(
            f"{path} would be replaced, and holds no statistics of an earlier "
            "call. Choose another output, or move it away."
        ) from error


def _refuse_options_of_the_other(method: str) -> None:
    given: dict[str, Any] = click.get_current_context().params
    foreign = OF_BOTTLENECKS if method == "attention" else OF_ATTENTION
    for name in foreign:
        if given["layers" if name == "layer" else name] not in (None, ()):
            other = "iba and coiba" if method == "attention" else "attention"
            raise click.UsageError(
                f"--{name.replace('_', '-')} belongs to --method {other}. "
                f"Received: --method {method}."
            )
