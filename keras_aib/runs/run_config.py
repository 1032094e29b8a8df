"""Everything a training run needs to start, and to go on."""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_aib._version import __version__
from keras_aib.runs.freezing import TRAINABLE
from keras_aib.utils.checks import check_image_size
from keras_aib.utils.checks import check_integer
from keras_aib.utils.checks import check_positive_integer
from keras_aib.utils.checks import plain
from keras_aib.utils.files import written_whole

CONFIG_FILE = "config.json"
RUN_FORMAT = 1
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
OUTPUT = "output"


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What to train, on what, and how.

    Stored in the run's folder before anything else, so that a run that was
    killed at any moment knows how to go on. `None` leaves a choice to the
    model.

    Args:
        data: What `keras_aib.data.from_spec` takes: an image folder,
            `"tfds:NAME"` or `"cifar10"`.
        model: Name in the zoo, a preset folder, or a `.keras` file.
        from_scratch: Whether a model of the zoo starts from fresh weights.
        epochs: Passes over the training images.
        batch_size: Images per step.
        learning_rate: Of Adam.
        image_size: Height and width in pixels.
        trainable: See `freeze`. By default `"tail"`, and `"all"` from scratch.
        beta: Price of the latent's rate, in loss per nat.
        num_anchors: Number of anchors; 0 for continuous scores.
        attention_layer: Level or layer of the backbone; `"output"` for its
            output.
        warmup_epochs: Epochs over which `beta` rises from zero; 0 for none.
        validation_split: Share of the images to validate on, where none are
            meant for that.
        limit: Train, and validate, on at most so many images.
        precision: `"float32"`, `"mixed_float16"` or `"mixed_bfloat16"`.
        backend: Keras backend. By default the running one.
        distribution: `"data_parallel"` for all devices, or `None` for one.
        seed: Of the split, the order, the augmentation, the weights and the
            sampling.
        workers: Threads that read images.
        class_names: Names of the classes; filled in when the data is opened.
        num_images: Number of training images; filled in likewise.

    Raises:
        ValueError: If a value is out of range.

    Example:

    ```python
    from keras_aib.runs import RunConfig

    config = RunConfig(
        data="photos", model="aib_efficientnet_lite0.imagenet", epochs=3
    )
    ```
    """

    data: str
    model: str
    from_scratch: bool = False
    epochs: int = 5
    batch_size: int = 32
    learning_rate: float = 2e-4
    image_size: tuple[int, int] | None = None
    trainable: str | None = None
    beta: float | None = None
    num_anchors: int | None = None
    attention_layer: str | None = None
    warmup_epochs: float = 1.0
    validation_split: float = 0.2
    limit: int | None = None
    precision: str | None = None
    backend: str = dataclasses.field(default_factory=keras.config.backend)
    distribution: str | None = None
    seed: int = 0
    workers: int = 2
    class_names: tuple[str, ...] = ()
    num_images: int = 0

    def __post_init__(self) -> None:
        self._make_plain()
        for name in ("epochs", "batch_size", "workers"):
            check_positive_integer(name, getattr(self, name))
        check_integer("seed", self.seed, 0)
        if self.num_anchors is not None:
            check_integer("num_anchors", self.num_anchors, 0)
        if self.limit is not None:
            check_positive_integer("limit", self.limit)
        for name, least in (("learning_rate", 0.0), ("warmup_epochs", 0.0)):
            _check_range(name, getattr(self, name), least, float("inf"))
        if self.beta is not None:
            _check_range("beta", self.beta, 0.0, float("inf"))
        for name, choices in (
            ("trainable", (None, *TRAINABLE)),
            ("precision", (None, *PRECISIONS)),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"`{name}` must be one of {choices}. Received: "
                    f"{name}={getattr(self, name)!r}"
                )

        if self.from_scratch and self.trainable not in (None, "all"):
            raise ValueError(
                f"trainable={self.trainable!r} would leave the fresh weights "
                "of the backbone as random as they are. Leave it out, or "
                "start from pretrained weights."
            )

    def _make_plain(self) -> None:
        # What becomes JSON only after the images were opened fails late.
        for field in dataclasses.fields(self):
            value = plain(getattr(self, field.name))
            is_place = field.name in ("data", "model")
            if is_place and not isinstance(value, str):
                # A path object is never a name, such as `cifar10`.
                value = str(Path(value).absolute())
            elif field.name == "image_size" and value is not None:
                value = check_image_size(value)
            elif field.name == "class_names":
                value = tuple(map(str, value))
            object.__setattr__(self, field.name, value)

    @property
    def trained_part(self) -> str:
        """`trainable`, its default resolved."""
        return self.trainable or ("all" if self.from_scratch else "tail")

    @property
    def model_options(self) -> dict[str, Any]:
        """Those arguments of `AIBClassifier` that are not left to the model."""
        options: dict[str, Any] = {}
        if self.beta is not None:
            options["beta"] = self.beta
        if self.num_anchors is not None:
            options["num_anchors"] = self.num_anchors or None
        if self.attention_layer is not None:
            is_output = self.attention_layer == OUTPUT
            options["attention_layer"] = (
                None if is_output else self.attention_layer
            )
        return options

    def write(self, folder: str | os.PathLike) -> None:
        """Write `config.json` to the folder of a run."""
        content = {
            "format": RUN_FORMAT,
            "keras_aib_version": __version__,
            "keras_version": keras.__version__,
            **dataclasses.asdict(self),
        }
        with written_whole(Path(folder) / CONFIG_FILE) as path:
            # Escaped: a class may be called by bytes that are no text.
            path.write_text(json.dumps(content, indent=2) + "\n")

    @classmethod
    def read(cls, folder: str | os.PathLike) -> "RunConfig":
        """Read `config.json` of the folder of a run.

        Raises:
            ValueError: If the folder is no run, or was written by a newer
                version.
        """
        path = Path(folder) / CONFIG_FILE
        try:
            content = json.loads(path.read_text())
            version = content.pop("keras_aib_version")
            del content["keras_version"]
            written_in = content.pop("format")
        except FileNotFoundError as error:
            raise ValueError(
                f"{folder} is no training run: it has no {CONFIG_FILE}. "
                "Start a run with `keras-aib train --output`."
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path} is no configuration of a training run ({error!r}). "
                "Start a run with `keras-aib train --output`."
            ) from error
        if written_in > RUN_FORMAT:
            raise ValueError(
                f"{path} was written by keras_aib {version} in format "
                f"{written_in}; this is keras_aib {__version__}, which reads "
                f"formats up to {RUN_FORMAT}. Install that version."
            )
        for name in ("image_size", "class_names"):
            if content[name] is not None:
                content[name] = tuple(content[name])
        return cls(**content)


def _check_range(name: str, value: float, least: float, most: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value < most:
        raise ValueError(
            f"`{name}` must be at least {least:g} and below {most:g}. "
            f"Received: {name}={value!r}"
        )
