"""`keras-aib train`."""

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from keras_aib.cli.options import backend_option
from keras_aib.cli.options import batch_size_option
from keras_aib.cli.options import image_size_option
from keras_aib.cli.options import use_backend

INTERRUPTED = 130
WITH_RESUME = {"resume", "epochs", "data", "backend"}


@click.command()
@click.option(
    "--data",
    metavar="DIR|tfds:NAME|cifar10",
    help="Images: a folder with one subfolder per class, or with train/ and "
    "validation/ of such; a TensorFlow Datasets name; or a benchmark, "
    "downloaded (cifar10) or from a folder (stl10:DIR).",
)
@click.option(
    "--model",
    metavar="NAME|PATH",
    help="A name of `keras-aib list`, a run, a preset folder, a .keras file.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="New folder of the run."
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Go on with a run that was broken off. With it go only --epochs, to "
    "go on for longer, and --data, where the same images were moved to.",
)
@click.option("--epochs", type=click.IntRange(1), default=5)
@batch_size_option
@click.option("--learning-rate", type=float, default=2e-4, help="Of Adam.")
@image_size_option
@click.option(
    "--trainable",
    type=click.Choice(("all", "tail", "head")),
    help="Of the backbone: all, what follows the attention, or nothing. "
    "[default: tail; all with --from-scratch]",
)
@click.option(
    "--from-scratch", is_flag=True, help="Do not load pretrained weights."
)
@click.option(
    "--attention-layer",
    metavar="LEVEL",
    help="Level (P4) or layer of the backbone that is attended, or 'output'. "
    "[default: the model's]",
)
@click.option(
    "--num-anchors",
    type=click.IntRange(0),
    help="Values that the attention can take; 0: continuous. "
    "[default: the model's]",
)
@click.option(
    "--beta",
    type=float,
    help="Price of the latent's rate, in loss per nat. [default: the model's]",
)
@click.option(
    "--warmup-epochs",
    type=float,
    default=1.0,
    help="Epochs over which beta rises from zero.",
)
@click.option(
    "--validation-split",
    type=float,
    default=0.2,
    help="Share of the images to validate on, where none are meant for that.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    help="Train and validate on at most so many images each, drawn at random.",
)
@click.option("--seed", type=click.IntRange(0), default=0)
@click.option(
    "--workers", type=click.IntRange(1), default=2, help="Threads that read."
)
@click.option(
    "--precision",
    type=click.Choice(("float32", "mixed_float16", "mixed_bfloat16")),
    help="[default: float32, or the saved model's]",
)
@backend_option
@click.option(
    "--distribution",
    type=click.Choice(("data_parallel",)),
    help="Train on all devices of this machine (TensorFlow, JAX).",
)
def train(output: Path | None, resume: Path | None, **options: Any) -> None:
    """Fine-tune a model on your images.

    \b
    keras-aib train --data photos/ --model aib_efficientnet_lite0.imagenet \\
        --output runs/photos

    The folder of the run gets its configuration, log.csv, the best and the
    last model, TensorBoard's files (tensorboard --logdir RUN/tensorboard) and
    pictures of where the model looks. A run that was killed at any moment goes
    on with

    \b
    keras-aib train --resume runs/photos
    """
    if resume is not None:
        _check_resume_alone()
        epochs = options["epochs"] if "epochs" in _given() else None
        data = options["data"]
        folder, run = resume, _resumed(resume, options["backend"], epochs, data)
    else:
        for name in ("data", "model"):
            if options[name] is None:
                raise click.UsageError(f"Missing option '--{name}'.")
        if output is None:
            raise click.UsageError(
                "Missing option '--output', the folder for the run, or "
                "'--resume', the run to go on with."
            )
        folder, run = output, _started(output, options)
    try:
        # A bar that moves is for eyes, a line per epoch for a log file.
        history = run.train(verbose=1 if sys.stdout.isatty() else 2)
    except KeyboardInterrupt:
        if run.has_begun:
            click.echo(
                "\nStopped. Go on from the end of the last full epoch with\n"
                f"  keras-aib train --resume {folder}",
                err=True,
            )
        raise SystemExit(INTERRUPTED) from None
    best = max(history, key=lambda logs: logs["val_accuracy"])
    click.echo(
        f"Best validation accuracy {best['val_accuracy']:.1%}, in epoch "
        f"{history.index(best) + 1} of {len(history)}: {folder / 'best.keras'}"
    )


def _given() -> set[str]:
    """Names of the options that the user gave."""
    context = click.get_current_context()
    return {
        name
        for name in context.params
        if context.get_parameter_source(name) != ParameterSource.DEFAULT
    }


def _check_resume_alone() -> None:
    others = sorted(_given() - WITH_RESUME)
    if others:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise click.UsageError(
            f"{names} cannot be changed with --resume: a run goes on as it "
            "began. Start another with --output."
        )


def _resumed(
    folder: Path, backend: str | None, epochs: int | None, data: str | None
) -> Any:
    from keras_aib.data.data_spec import DataSpec
    from keras_aib.runs import RunConfig
    from keras_aib.runs import TrainingRun

    if backend is None:
        use_backend(RunConfig.read(folder).backend)
    if data is not None:
        data = DataSpec.parse(data).absolute()
    return TrainingRun.resume(folder, epochs, data)


def _absolute(text: str) -> str:
    return str(Path(text).resolve()) if Path(text).exists() else text


def _started(folder: Path, options: dict[str, Any]) -> Any:
    from keras_aib.data.data_spec import DataSpec
    from keras_aib.runs import RunConfig
    from keras_aib.runs import TrainingRun

    if options["backend"] is None:
        del options["backend"]
    # A run can be resumed from another folder.
    options["model"] = _absolute(options["model"])
    options["data"] = DataSpec.parse(options["data"]).absolute()
    return TrainingRun.start(folder, RunConfig(**options))
