"""`keras-aib explain`."""

from pathlib import Path

import click

from keras_aib.commands.options import backend_option
from keras_aib.commands.options import batch_size_option
from keras_aib.commands.options import image_size_option


@click.command()
@click.argument("model", metavar="RUN|MODEL")
@click.option(
    "--images",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of images; those in its subfolders are taken too.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for overlays/ and index.html.",
)
@click.option(
    "--which",
    type=click.Choice(("mean", "stddev", "quantized")),
    default="mean",
    help="The map to draw: the score, its standard deviation, or the score "
    "that the features were multiplied with.",
)
@click.option(
    "--scale",
    type=click.Choice(("fixed", "image")),
    help="Colours of scores 0 to 1, or of each image's own range. "
    "[default: fixed; image for stddev, which is small]",
)
@batch_size_option
@image_size_option
@backend_option
def explain(
    model: str,
    images: Path,
    output: Path,
    which: str,
    scale: str | None,
    batch_size: int,
    image_size: tuple[int, int] | None,
    backend: str | None,
) -> None:
    """Draw where a model looks in the images of a folder.

    \b
    keras-aib explain runs/photos --images holiday/ --output maps/

    The page maps/index.html holds its pictures itself and can be sent as one
    file. Images that cannot be read are named and left out.
    """
    from keras_aib.zoo.explanation import explain_folder
    from keras_aib.zoo.training.model_source import ModelSource

    source = ModelSource(model)
    explained = explain_folder(
        source.model,
        images,
        output,
        image_size=source.find_image_size(image_size),
        class_names=source.class_names,
        which=which,
        scale=scale or ("image" if which == "stddev" else "fixed"),
        batch_size=batch_size,
    )
    for name in explained.unreadable:
        click.echo(f"Not readable: {name}", err=True)
    click.echo(f"{explained.num_images} images: {explained.page}")
