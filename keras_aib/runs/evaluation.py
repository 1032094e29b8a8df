"""How good a trained model is on a set of images."""

import warnings
from pathlib import Path
from typing import Any

import keras

from keras_aib import data
from keras_aib.data import ImageDataset
from keras_aib.data.data_spec import DataSpec
from keras_aib.data.layout import find_layout
from keras_aib.metrics import accuracy
from keras_aib.metrics import expected_calibration_error
from keras_aib.metrics import negative_log_likelihood
from keras_aib.runs.model_source import ModelSource
from keras_aib.runs.run_config import RunConfig
from keras_aib.runs.run_images import open_run_images
from keras_aib.runs.run_images import shown_names
from keras_aib.runs.run_images import without_training_images
from keras_aib.runs.task import Task


def evaluate_model(
    model: keras.Model,
    dataset: ImageDataset,
    verbose: str | int = "auto",
    output_kind: str | None = None,
) -> dict[str, float]:
    """Accuracy, calibration and rates of a model.

    Goes over the images twice, once for the losses and rates and once for the
    probabilities. Compiles the model anew.

    Args:
        model: Any Keras classifier of pixels 0..255.
        dataset: Labelled images, in a fixed order.
        verbose: As for `keras.Model.evaluate`.
        output_kind: What the model gives, where it does not tell itself: one
            of `keras_aib.models.output_head.OUTPUT_KINDS`.

    Returns:
        `"num_images"`; `"loss"`, what training minimizes, in nats;
        `"accuracy"`; `"negative_log_likelihood"` in nats;
        `"expected_calibration_error"` over 15 bins; and the rates that the
        model reports, `"kl_bits"` and others.

    Example:

    ```python
    from keras_aib.runs.evaluation import evaluate_model
    from keras_aib.runs.evaluation import open_images
    from keras_aib.runs.model_source import ModelSource

    source = ModelSource("runs/photos")
    images = open_images(source)
    print(evaluate_model(source.model, images)["accuracy"])
    ```
    """
    task = Task(model, output_kind)
    model.compile(loss=task.loss())
    rates = model.evaluate(
        task.targets(dataset), verbose=verbose, return_dict=True
    )
    outputs = model.predict(dataset, verbose=verbose)
    labels = dataset.labels
    if len(labels) != len(outputs):
        raise ValueError(
            f"{len(dataset.unreadable)} images cannot be read, so many in one "
            f"batch that its predictions stand for none: {dataset.unreadable}."
            " Repair or remove them."
        )
    probabilities = task.head.class_probabilities(outputs)
    return {
        "num_images": len(labels),
        "loss": float(rates.pop("loss")),
        "accuracy": accuracy(probabilities, labels),
        "negative_log_likelihood": negative_log_likelihood(
            probabilities, labels
        ),
        "expected_calibration_error": expected_calibration_error(
            probabilities, labels
        ),
        **{name: float(rate) for name, rate in rates.items()},
    }


def open_images(
    source: ModelSource,
    spec: str | None = None,
    batch_size: int = 32,
    image_size: tuple[int, int] | None = None,
    limit: int | None = None,
    workers: int = 2,
    subset: str = "validation",
) -> ImageDataset:
    """The images to evaluate a model on, with the model's classes.

    Args:
        source: The model.
        spec: As for `keras_aib.data.from_spec`, of which the validation side
            is taken; of a folder of class folders all images are, but for
            those that the model's run was trained on. `None` for those that
            the run held out.
        batch_size: Images at once.
        image_size: Height and width in pixels; `None` for the model's.
        limit: Take at most so many images.
        workers: Threads that read the images.
        subset: `"training"` for the other side, to calibrate on.

    Raises:
        ValueError: If nothing tells the images, or they are of other classes
            than the model's.
    """
    run = source.run
    if spec is None and run is None:
        raise ValueError(
            f"{source.source} does not belong to a training run, so it does "
            "not tell which images are meant. Give them: `--data`."
        )
    settings = {
        "batch_size": batch_size,
        "shuffle": False,
        "workers": workers,
    }
    size = source.find_image_size(image_size)
    if spec is not None:
        dataset = _open_others(source, spec, subset, size, settings)
    elif source.run_images is not None:
        dataset = _open_side(source, subset, size, settings)
    else:
        dataset = _draw_split(source, subset, size, settings)
    if limit is not None and limit < dataset.num_images:
        dataset = dataset.sample(limit)
    _check_classes(source, dataset)
    return dataset


def _open_others(
    source: ModelSource,
    spec: str,
    subset: str,
    image_size: tuple[int, int],
    settings: dict[str, Any],
) -> ImageDataset:
    run, images = source.run, source.run_images
    if _is_class_folders(Path(spec)):
        dataset = data.from_folder(
            spec,
            image_size,
            class_names=run.class_names if run else None,
            **settings,
        )
    else:
        dataset = _from_spec(run, spec, subset, image_size, settings)
    if images is None or subset == "training":
        return dataset
    return without_training_images(dataset, images)


def _open_side(
    source: ModelSource,
    subset: str,
    image_size: tuple[int, int],
    settings: dict[str, Any],
) -> ImageDataset:
    """What the run wrote down, as far as it is still there."""
    run: Any = source.run
    images: Any = source.run_images
    side = getattr(images, subset)
    missing = images.missing(run.data, side)
    remedy = (
        "If the folder was moved, say where it is with `--data`; put back "
        "what was changed."
    )
    if len(missing) == len(side):
        raise ValueError(
            f"None of the {len(side)} images that the run {source.source} took "
            f"for {subset} is still in {run.data} as it was. {remedy}"
        )
    if missing:
        warnings.warn(
            f"{len(missing)} of the {len(side)} images that the run took for "
            f"{subset} are left out: they are changed or no longer in "
            f"{run.data}: {shown_names(missing)}. {remedy}",
            stacklevel=3,
        )
    num_new = images.count_new(run.data)
    if num_new:
        warnings.warn(
            f"{num_new} images have come to {run.data} since the run began. "
            "They are left out.",
            stacklevel=3,
        )
    gone = set(missing)
    kept = [image for image in side if image not in gone]
    return open_run_images(
        run.data, kept, run.class_names, image_size, **settings
    )


def _draw_split(
    source: ModelSource,
    subset: str,
    image_size: tuple[int, int],
    settings: dict[str, Any],
) -> ImageDataset:
    """Split as the run did, which it has not written down."""
    run: Any = source.run
    limit = run.limit
    if DataSpec.parse(run.data).dataset is None and run.num_images:
        training = _from_spec(
            run, run.data, "training", image_size, settings, limit
        )
        num_now = len(training.list_images())
        if num_now != run.num_images:
            warnings.warn(
                f"The run was trained on {run.num_images} images, and a split "
                f"of {run.data} gives {num_now} now. It began with a release "
                "that did not write down which, so some of these images may "
                "have been trained on, and figures on them would flatter it.",
                stacklevel=3,
            )
    return _from_spec(run, run.data, subset, image_size, settings, limit)


def _from_spec(
    run: RunConfig | None,
    spec: str,
    subset: str,
    image_size: tuple[int, int],
    settings: dict[str, Any],
    limit: int | None = None,
) -> ImageDataset:
    if run is not None:
        # Or images that the run was trained on would be among them.
        settings = {
            **settings,
            "seed": run.seed,
            "validation_split": run.validation_split,
        }
    return data.from_spec(
        spec, image_size, subset=subset, limit=limit, **settings
    )


def _is_class_folders(path: Path) -> bool:
    return path.is_dir() and "" in find_layout(path).sides


def _check_classes(source: ModelSource, dataset: ImageDataset) -> None:
    names = source.class_names
    if names and list(names) != dataset.class_names:
        raise ValueError(
            f"The model was trained on other classes: {list(names)}. "
            f"Received: {dataset.class_names}"
        )
    num_classes = source.num_classes
    if dataset.num_classes != num_classes:
        raise ValueError(
            f"The model tells {num_classes} classes apart. "
            f"Received images of {dataset.num_classes}: {dataset.class_names}"
        )
