"""The commands of `keras-aib`, one file each."""

import click

from keras_aib._version import __version__
from keras_aib.cli.benchmark import benchmark
from keras_aib.cli.error_group import ErrorGroup
from keras_aib.cli.evaluate import evaluate
from keras_aib.cli.explain import explain
from keras_aib.cli.export import export
from keras_aib.cli.models import info
from keras_aib.cli.models import list_models
from keras_aib.cli.train import train


@click.group(
    cls=ErrorGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "show_default": True,
    },
)
@click.version_option(__version__)
@click.option(
    "--traceback",
    is_flag=True,
    help="Show where an error came from; put it before the command.",
)
def command_line(traceback: bool) -> None:
    """Image classifiers that show where they look.

    \b
    keras-aib list
    keras-aib train --data photos/ --model aib_efficientnet_lite0.imagenet \\
        --output runs/photos
    keras-aib evaluate runs/photos
    keras-aib explain runs/photos --images holiday/ --output maps/
    keras-aib export runs/photos --output photos.tflite
    """


for command in (list_models, info, train, evaluate, explain, export, benchmark):
    command_line.add_command(command)
