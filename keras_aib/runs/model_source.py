"""A model by what a user calls it: a run, a preset, a file, a name."""

import functools
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

from keras_aib import zoo
from keras_aib.models import AIBClassifier
from keras_aib.models.output_head import find_output_head
from keras_aib.runs.run_config import CONFIG_FILE
from keras_aib.runs.run_config import RunConfig
from keras_aib.runs.run_images import RunImages
from keras_aib.utils.requirements import is_installed
from keras_aib.utils.requirements import missing_package
from keras_aib.zoo.sources.keras_applications import is_application

BEST_FILE = "best.keras"
PRESET_FILE = "metadata.json"
KERAS_HUB_FILE = "config.json"
LOADING_ERRORS = (
    *(ImportError, KeyError, OSError, TypeError, ValueError),
    zipfile.BadZipFile,
)


class ModelSource:
    """What `--model` and `RUN` name, and the model behind it.

    Args:
        source: Folder of a run, of which the best model is meant; a preset
            folder; a `.keras` file; or a name that `zoo.load` or
            `zoo.load_classifier` knows.

    Raises:
        ValueError: If `source` looks like a path and there is no model.

    Example:

    ```python
    from keras_aib.runs.model_source import ModelSource

    source = ModelSource("aib_efficientnet_lite0.imagenet")
    print(source.find_image_size())
    ```
    """

    def __init__(self, source: str | os.PathLike) -> None:
        self.source = os.fspath(source)
        self._path = _find(self.source)

    @property
    def is_saved(self) -> bool:
        """Whether it is a model on disk, its options settled."""
        return self._path is not None

    @functools.cached_property
    def run(self) -> RunConfig | None:
        """Configuration of the run that the model was trained in, if any."""
        if self._path is None or self._path.is_dir():
            return None
        if not (self._path.parent / CONFIG_FILE).is_file():
            return None
        return RunConfig.read(self._path.parent)

    @functools.cached_property
    def run_images(self) -> RunImages | None:
        """The images of that run, where it has written them down."""
        if self._path is None or self.run is None:
            return None
        return RunImages.read(self._path.parent)

    @functools.cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; empty where nothing tells them."""
        if self.run is not None:
            return self.run.class_names
        if self.is_saved or self.source not in zoo.list_models():
            return ()
        return getattr(zoo.info(self.source), "class_names", ())

    @functools.cached_property
    def model(self) -> AIBClassifier:
        """The trained model, not compiled.

        Raises:
            ValueError: If the file is damaged, or holds no `AIBClassifier`.
        """
        if self._path is None:
            return zoo.load(self.source)
        model = self.classifier
        if not isinstance(model, AIBClassifier):
            raise ValueError(
                f"{self._path} holds a {type(model).__name__}. Expected an "
                "AIBClassifier: build one around your backbone with "
                "`keras_aib.models.AIBClassifier` and save that."
            )
        return model

    @functools.cached_property
    def classifier(self) -> keras.Model:
        """As `model`, but it may be a plain classifier without attention.

        Raises:
            ValueError: If the file is damaged, or there is no such model.
            ImportError: If a package that the model needs is missing.
        """
        if self._path is None:
            if self.source in zoo.list_models("aib_*"):
                return self.model
            return zoo.load_classifier(self.source)
        try:
            if self._path.is_dir():
                return AIBClassifier.from_preset(self._path)
            # The optimizer of one backend does not suit another.
            model = keras.saving.load_model(self._path, compile=False)
        except LOADING_ERRORS as error:
            if "keras_hub" in str(error) and not is_installed("keras_hub"):
                raise missing_package(
                    "keras_hub", f"The model {self._path}", "hub"
                ) from error
            if self._path.is_dir():
                raise
            raise ValueError(
                f"{self._path} cannot be loaded as a Keras model: {error}"
            ) from error
        model = _functional(model)
        _recall_loss(model, self._path)
        return model

    @functools.cached_property
    def num_classes(self) -> int:
        """Classes that the model tells apart.

        Raises:
            ValueError: If it is no classifier.
        """
        # As if it gave logits: only the number is asked for.
        num_outputs = find_output_head(self.classifier, "logits").num_outputs
        # A single output tells two classes apart.
        return max(2, num_outputs)

    def find_image_size(
        self, image_size: tuple[int, int] | None = None
    ) -> tuple[int, int]:
        """Height and width in pixels of the images that go into the model.

        Args:
            image_size: What the user wants, or `None`.

        Raises:
            ValueError: If the model takes another size, or nothing tells one.
        """
        if not self.is_saved and self.source in zoo.list_models():
            return image_size or tuple(zoo.info(self.source).image_size)
        height, width = _input_size(self.classifier)
        if height is not None and width is not None:
            if image_size not in (None, (height, width)):
                raise ValueError(
                    f"{self.source} takes images of {height} x {width} pixels "
                    f"only. Received: image_size={image_size}. Leave it out."
                )
            return height, width
        if image_size is not None:
            return image_size
        if self.run is None or self.run.image_size is None:
            raise self._unknown_size()
        return self.run.image_size

    def build(self, config: RunConfig, num_classes: int) -> AIBClassifier:
        """The model that a run starts from, not compiled.

        Args:
            config: Configuration of the run.
            num_classes: Number of classes.

        Raises:
            ValueError: If the model cannot take the options.
        """
        if not self.is_saved:
            return self._load_from_zoo(config, num_classes)
        settled: dict[str, Any] = dict(config.model_options)
        if config.precision is not None:
            settled["precision"] = config.precision
        if config.from_scratch:
            settled["from_scratch"] = True
        if settled:
            raise ValueError(
                f"{self.source} is a saved model, in which these are settled: "
                f"{', '.join(settled)}. Leave them out, or start from a name "
                "that `keras-aib list` shows."
            )
        # A single output tells two classes apart.
        if num_classes == find_output_head(self.model).num_classes:
            return self.model
        with tempfile.TemporaryDirectory() as folder:
            self.model.save_to_preset(folder)
            return AIBClassifier.from_preset(folder, num_classes=num_classes)

    def _load_from_zoo(
        self, config: RunConfig, num_classes: int
    ) -> AIBClassifier:
        row = zoo.info(self.source)
        options = {"seed": config.seed, **config.model_options}
        if not config.from_scratch:
            if not getattr(row, "has_weights", True):
                raise ValueError(
                    f"{self.source} has no pretrained weights. Train it with "
                    "`--from-scratch`, or choose a name that ends in the "
                    "origin of its weights."
                )
            if getattr(row, "preset", None) is not None:
                # Trained as a whole, and its seed with it.
                del options["seed"]
        return zoo.load(
            self.source,
            num_classes=num_classes,
            weights=None if config.from_scratch else "pretrained",
            image_size=config.image_size,
            **options,
        )

    def _unknown_size(self) -> ValueError:
        return ValueError(
            f"Nothing tells the image size of {self.source}. Give it with "
            "`--image-size`."
        )


def _find(source: str) -> Path | None:
    path = Path(source)
    if path.is_dir():
        if _is_of_keras_hub(path):
            return None
        if (path / PRESET_FILE).is_file():
            return path
        if (path / BEST_FILE).is_file():
            return path / BEST_FILE
        raise ValueError(
            f"The folder {path} holds no model: neither a preset "
            f"({PRESET_FILE}) nor a training run with at least one epoch done "
            f"({BEST_FILE})."
        )
    if path.is_file():
        return path
    is_path = path.suffix == ".keras" or os.sep in source
    if is_path and "://" not in source and not is_application(source):
        raise ValueError(
            f"There is no model {source} (seen from {Path.cwd()}). Pass the "
            "folder of a run, a preset folder, a `.keras` file, or a name "
            "that `keras-aib list` shows."
        )
    return None


def _is_of_keras_hub(folder: Path) -> bool:
    """Whether it is a preset of KerasHub, which has the same two files."""
    try:
        config = json.loads((folder / KERAS_HUB_FILE).read_text())
        return str(config["module"]).startswith(("keras_hub.", "keras_nlp."))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _recall_loss(model: keras.Model, path: Path) -> None:
    """Compile with the loss that was saved: it tells labels from classes."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))["compile_config"]
        loss = keras.saving.deserialize_keras_object(config["loss"])
    except LOADING_ERRORS:
        # None, or one that is not known here.
        return
    model.compile(loss=loss)


def _functional(model: keras.Model) -> keras.Model:
    """A subclassed model, which has no graph, as one layer of a graph."""
    if getattr(model, "outputs", None) or not model.built:
        return model
    shape = (model.get_build_config() or {}).get("input_shape")
    if not isinstance(shape, list | tuple):
        return model
    pixels = keras.Input(tuple(shape[1:]))
    return keras.Model(pixels, model(pixels), name=model.name)


def _input_size(model: keras.Model) -> tuple[int | None, int | None]:
    channels_first = keras.config.image_data_format() == "channels_first"
    shape = model.input_shape
    return tuple(shape[2:4] if channels_first else shape[1:3])
