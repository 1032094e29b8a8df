"""A training run in a folder of its own, that can be killed and resumed."""

import contextlib
import dataclasses
import importlib.util
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from keras_aib import data
from keras_aib.callbacks import AttentionPictures
from keras_aib.callbacks import BetaWarmup
from keras_aib.data import ImageDataset
from keras_aib.data.data_spec import DataSpec
from keras_aib.models import AIBClassifier
from keras_aib.runs.distribution import distribution_scope
from keras_aib.runs.distribution import even_batches
from keras_aib.runs.freezing import freeze
from keras_aib.runs.model_source import ModelSource
from keras_aib.runs.run_config import CONFIG_FILE
from keras_aib.runs.run_config import RunConfig
from keras_aib.runs.run_images import SIDES
from keras_aib.runs.run_images import RunImages
from keras_aib.runs.run_images import open_run_images
from keras_aib.runs.run_images import shown_names
from keras_aib.runs.run_recorder import LAST_FILE
from keras_aib.runs.run_recorder import TENSORBOARD_FOLDER
from keras_aib.runs.run_recorder import RunRecorder
from keras_aib.runs.task import Task
from keras_aib.runs.training_state import TrainingState
from keras_aib.utils.files import check_local
from keras_aib.utils.files import written_whole
from keras_aib.utils.requirements import install_command

MODEL_FILE = "model.json"
NUM_PICTURES = 12
PICTURES_FOLDER = "pictures"


class TrainingRun:
    """Fine-tune a model, leaving everything of interest in a folder.

    | file | content |
    |---|---|
    | `config.json` | the `RunConfig` |
    | `images.json` | which files are trained on, and which are held out |
    | `model.json` | the layers of the model that the run starts from |
    | `state.npz` | all variables and the history after the last epoch |
    | `log.csv` | loss, accuracy, rates of each epoch |
    | `best.keras`, `last.keras` | the model of the best and the last epoch |
    | `tensorboard/` | the same figures and pictures for TensorBoard |
    | `pictures/` | where the model looks, epoch by epoch |

    A run that was killed goes on with `TrainingRun.resume`, from the end of
    its last epoch, in the same order of images and with the same noise: it
    ends where it would have ended. Of what it began with it needs the images
    only, and takes no others that have come to their folder since.

    Args:
        folder: Folder of the run.
        config: Its configuration.

    Example:

    ```python
    from keras_aib.runs import RunConfig
    from keras_aib.runs import TrainingRun

    config = RunConfig(data="photos", model="aib_efficientnet_lite0.imagenet")
    history = TrainingRun.start("runs/photos", config).train()
    # In another process, after a kill:
    history = TrainingRun.resume("runs/photos").train()
    ```
    """

    def __init__(self, folder: str | os.PathLike, config: RunConfig) -> None:
        self.folder = Path(folder)
        self.config = config

    @classmethod
    def start(
        cls, folder: str | os.PathLike, config: RunConfig
    ) -> "TrainingRun":
        """A new run. Nothing is written before `train`.

        Raises:
            ValueError: If there is something in the folder, or it is remote.
        """
        check_local(folder)
        folder = Path(folder)
        if folder.exists() and (folder.is_file() or any(folder.iterdir())):
            raise ValueError(
                f"{folder} is not empty. Choose another folder with "
                "`--output`, or, if it is a run, go on with "
                f"`keras-aib train --resume {folder}`."
            )
        return cls(folder, config)

    @classmethod
    def resume(
        cls,
        folder: str | os.PathLike,
        epochs: int | None = None,
        data: str | os.PathLike | None = None,
    ) -> "TrainingRun":
        """A run that was broken off.

        Args:
            folder: Its folder.
            epochs: A new number of epochs, to go on for longer; `None` for
                what the run began with.
            data: Where the same images are now, if they were moved.

        Raises:
            ValueError: If the folder is no run, or the run began on another
                backend.
        """
        config = RunConfig.read(folder)
        if config.backend != keras.config.backend():
            raise ValueError(
                f"The run {folder} began on the {config.backend} backend, and "
                "would not end the same on another. Set "
                f"KERAS_BACKEND={config.backend}. Received: "
                f"{keras.config.backend()}"
            )
        if epochs is not None:
            config = dataclasses.replace(config, epochs=epochs)
        if data is not None:
            config = dataclasses.replace(config, data=os.fspath(data))
        return cls(folder, config)

    @property
    def has_begun(self) -> bool:
        """Whether there is something to go on with."""
        return (self.folder / CONFIG_FILE).is_file()

    def train(self, verbose: str | int = "auto") -> list[dict[str, float]]:
        """Train until the last epoch.

        Args:
            verbose: As for `keras.Model.fit`.

        Returns:
            The logs of each epoch since the run began.

        Raises:
            ValueError: If data and model do not go together, the data is not
                what the run began with, or the loss is not a number.
            ImportError: If a package that reads the data is missing.
        """
        keras.utils.set_random_seed(self.config.seed)
        source = None if self._has(MODEL_FILE) else self._find_source()
        size = self.config.image_size
        if source is not None:
            size = source.find_image_size(size)
        train, validation = self._open_images(size)
        found = dataclasses.replace(
            self.config,
            image_size=size,
            class_names=tuple(train.class_names),
            num_images=len(train.list_images()),
        )
        self._check_data(found)
        images = self._find_run_images(train, validation)
        with (
            distribution_scope(self.config.distribution) as num_devices,
            _precision(self.config.precision),
        ):
            if source is None:
                model = self._read_model()
            else:
                model = source.build(found, train.num_classes)
            layers = _layers(model)
            task = Task(model)
            self._compile(model, task)
            state = TrainingState.restore(self.folder, model)
            # From here on the run can be resumed, and not before.
            self.config = found
            self.config.write(self.folder)
            if images is not None:
                images.write(self.folder)
            if not self._has(MODEL_FILE):
                state.save(self.folder, model)
                with written_whole(self.folder / MODEL_FILE) as path:
                    path.write_text(layers)
            recorder = RunRecorder(self.folder, state, self.config.seed)
            recorder.rewrite(model)
            train.start_at(state.epoch)
            callbacks = [
                *self._warmup(),
                recorder,
                # After what counts: drawing may fail.
                *self._pictures(validation, num_devices),
            ]
            if state.epoch < self.config.epochs:
                model.fit(
                    even_batches(task.targets(train), num_devices),
                    validation_data=even_batches(
                        task.targets(validation), num_devices
                    ),
                    epochs=self.config.epochs,
                    initial_epoch=state.epoch,
                    callbacks=callbacks,
                    # The dataset shuffles, and knows how to go on.
                    shuffle=False,
                    verbose=verbose,
                )
        return state.history

    def _has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def _find_source(self) -> ModelSource:
        try:
            return ModelSource(self.config.model)
        except ValueError:
            # Runs of earlier releases have no layers of their own.
            if not self._has(LAST_FILE):
                raise
            return ModelSource(self.folder / LAST_FILE)

    def _read_model(self) -> AIBClassifier:
        try:
            layers = json.loads((self.folder / MODEL_FILE).read_text())
        except ValueError as error:
            raise ValueError(
                f"{self.folder / MODEL_FILE} is damaged: {error}. Restore it "
                "from a copy, or start the run again in another folder."
            ) from error
        return keras.saving.deserialize_keras_object(layers)

    def _open_images(self, image_size: Any) -> list[ImageDataset]:
        images = RunImages.read(self.folder)
        if images is None:
            return [
                data.from_spec(
                    self.config.data,
                    image_size=image_size,
                    subset=subset,
                    validation_split=self.config.validation_split,
                    limit=self.config.limit,
                    **self._settings(subset),
                )
                for subset in SIDES
            ]
        missing = images.missing(self.config.data)
        if missing:
            count = len(images.training) + len(images.validation)
            raise ValueError(
                f"{len(missing)} of the {count} images that the run "
                f"{self.folder} began with are changed or no longer in "
                f"{self.config.data}: {shown_names(missing)}. Put them back, "
                "or, if the folder was moved, say where it is: `keras-aib "
                f"train --resume {self.folder} --data DIR`."
            )
        num_new = images.count_new(self.config.data)
        if num_new:
            warnings.warn(
                f"{num_new} images have come to {self.config.data} since the "
                "run began. They are left out: start a new run to train on "
                "them.",
                stacklevel=3,
            )
        return [
            open_run_images(
                self.config.data,
                getattr(images, subset),
                self.config.class_names,
                image_size,
                **self._settings(subset),
            )
            for subset in SIDES
        ]

    def _settings(self, subset: str) -> dict[str, Any]:
        is_training = subset == "training"
        flip = keras.layers.RandomFlip("horizontal", seed=self.config.seed)
        return {
            "batch_size": self.config.batch_size,
            "shuffle": is_training,
            "augmentation": flip if is_training else None,
            "seed": self.config.seed,
            "workers": self.config.workers,
        }

    def _find_run_images(
        self, train: ImageDataset, validation: ImageDataset
    ) -> RunImages | None:
        images = RunImages.read(self.folder)
        spec = DataSpec.parse(self.config.data)
        if images is None and spec.dataset is None:
            return RunImages.of(spec.place, train, validation)
        return images

    def _check_data(self, found: RunConfig) -> None:
        if not self.config.num_images:
            return
        for name in ("class_names", "num_images"):
            before, now = getattr(self.config, name), getattr(found, name)
            if before != now:
                raise ValueError(
                    f"{self.config.data} is not what the run {self.folder} "
                    f"began with: {name} was {before} and is {now}. Put the "
                    "images back, or start a new run."
                )

    def _compile(self, model: AIBClassifier, task: Task) -> None:
        freeze(model, self.config.trained_part)
        model.compile(
            keras.optimizers.Adam(self.config.learning_rate),
            task.loss(),
            metrics=[task.accuracy()],
        )
        model.optimizer.build(model.trainable_variables)

    def _warmup(self) -> Iterator[keras.callbacks.Callback]:
        if self.config.warmup_epochs:
            yield BetaWarmup(warmup_epochs=self.config.warmup_epochs)

    def _pictures(
        self, validation: ImageDataset, num_devices: int
    ) -> Iterator[keras.callbacks.Callback]:
        if importlib.util.find_spec("matplotlib") is None:
            warnings.warn(
                "matplotlib is not installed: no pictures of the attention "
                "are drawn. Install it with "
                f"`{install_command('matplotlib', 'plot')}`.",
                stacklevel=3,
            )
            return
        images, labels = even_batches(validation, num_devices)[0]
        count = max(num_devices, NUM_PICTURES - NUM_PICTURES % num_devices)
        tensorboard = importlib.util.find_spec("tensorboard") is not None
        yield AttentionPictures(
            images[:count],
            self.folder / PICTURES_FOLDER,
            labels=labels[:count],
            class_names=validation.class_names,
            tensorboard_directory=(
                self.folder / TENSORBOARD_FOLDER if tensorboard else None
            ),
        )


def _layers(model: AIBClassifier) -> str:
    return json.dumps(keras.saving.serialize_keras_object(model))


@contextlib.contextmanager
def _precision(precision: str | None) -> Iterator[None]:
    policy: Any = keras.config.dtype_policy()
    if precision is not None:
        keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
