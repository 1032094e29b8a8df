"""How good a trained model is on a set of images."""

from pathlib import Path

import keras

from keras_aib import data
from keras_aib.data import ImageDataset
from keras_aib.models import AIBClassifier
from keras_aib.zoo.metrics import accuracy
from keras_aib.zoo.metrics import class_probabilities
from keras_aib.zoo.metrics import expected_calibration_error
from keras_aib.zoo.metrics import negative_log_likelihood
from keras_aib.zoo.training.model_source import ModelSource


def evaluate_model(
    model: AIBClassifier, dataset: ImageDataset, verbose: str | int = "auto"
) -> dict[str, float]:
    """Accuracy, calibration and rates of a model.

    Goes over the images twice, once for the losses and rates and once for the
    probabilities. Compiles the model anew.

    Args:
        model: The model.
        dataset: Labelled images, in a fixed order.
        verbose: As for `keras.Model.evaluate`.

    Returns:
        `"num_images"`; `"loss"`, what training minimizes, in nats;
        `"accuracy"`; `"negative_log_likelihood"` in nats;
        `"expected_calibration_error"` over 15 bins; and the rates that the
        model reports, `"kl_bits"` and others.

    Example:

    ```python
    from keras_aib.zoo.evaluation import evaluate_model
    from keras_aib.zoo.training.model_source import ModelSource

    source = ModelSource("runs/photos")
    images = open_images(source)
    print(evaluate_model(source.model, images)["accuracy"])
    ```
    """
    is_logits = model.activation is keras.activations.linear
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=is_logits)
    )
    rates = model.evaluate(dataset, verbose=verbose, return_dict=True)
    outputs = model.predict(dataset, verbose=verbose)
    labels = dataset.labels
    if len(labels) != len(outputs):
        raise ValueError(
            f"{len(dataset.unreadable)} images cannot be read, so many in one "
            f"batch that its predictions stand for none: {dataset.unreadable}."
            " Repair or remove them."
        )
    probabilities = class_probabilities(model, outputs)
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
            is taken; of a folder of class folders all images are. `None` for
            those that the model's run was validated on.
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
        "image_size": source.find_image_size(image_size),
        "batch_size": batch_size,
        "shuffle": False,
        "workers": workers,
    }
    if spec is not None and _is_class_folders(Path(spec)):
        dataset = data.from_folder(
            spec, class_names=run.class_names if run else None, **settings
        )
        if limit is not None and limit < dataset.num_images:
            dataset = dataset.sample(limit)
    else:
        if run is not None:
            # Or images that the run was trained on would be among them.
            settings["seed"] = run.seed
            settings["validation_split"] = run.validation_split
        dataset = data.from_spec(
            run.data if spec is None else spec,
            subset=subset,
            limit=limit or (run.limit if spec is None else None),
            **settings,
        )
    _check_classes(source, dataset)
    return dataset


def _is_class_folders(path: Path) -> bool:
    return path.is_dir() and not (path / "train").is_dir()


def _check_classes(source: ModelSource, dataset: ImageDataset) -> None:
    names = source.class_names
    if names and list(names) != dataset.class_names:
        raise ValueError(
            f"The model was trained on other classes: {list(names)}. "
            f"Received: {dataset.class_names}"
        )
    if dataset.num_classes != source.model.num_classes:
        raise ValueError(
            f"The model tells {source.model.num_classes} classes apart. "
            f"Received images of {dataset.num_classes}: {dataset.class_names}"
        )
