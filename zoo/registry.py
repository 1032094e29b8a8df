"""The names the zoo knows."""

import difflib
import fnmatch
from collections.abc import Iterable

from keras_aib.models.presets import register_preset
from keras_aib.zoo.architectures import efficientnet_lite
from keras_aib.zoo.architectures import vit
from keras_aib.zoo.architectures.paper_nets import PAPER_NETS
from keras_aib.zoo.model_config import ModelConfig
from keras_aib.zoo.pretrained_config import PretrainedConfig
from keras_aib.zoo.pretrained_models import PRETRAINED_MODELS
from keras_aib.zoo.sources import vgg16_imagenet
from keras_aib.zoo.weight_files import WEIGHTS_FOLDER

BACKBONES: dict[str, PretrainedConfig] = {
    row.name: row
    for row in (
        *efficientnet_lite.PRETRAINED,
        *vgg16_imagenet.PRETRAINED,
        *vit.PRETRAINED,
    )
}
MODELS: dict[str, ModelConfig] = {
    row.name: row for row in (*PRETRAINED_MODELS, *PAPER_NETS)
}
for _row in MODELS.values():
    if _row.preset is not None:
        register_preset(_row.name, WEIGHTS_FOLDER / _row.preset)


def list_models(pattern: str = "*") -> list[str]:
    """Names in the zoo, sorted.

    Names that start with `aib_` are classifiers with bottleneck attention, for
    `zoo.load`; the others are plain pretrained networks, for
    `zoo.load_backbone` and `zoo.load_classifier`.

    Args:
        pattern: Shell-style wildcards, for example `"aib_efficientnet*"`.

    Returns:
        The matching names; an empty list if there are none.

    Example:

    ```python
    from keras_aib import zoo

    print(zoo.list_models("*.imagenet"))
    ```
    """
    return sorted(fnmatch.filter([*BACKBONES, *MODELS], pattern))


def info(name: str) -> PretrainedConfig | ModelConfig:
    """Everything the zoo knows about one of its models.

    Args:
        name: One of `list_models()`.

    Returns:
        A `ModelConfig` for a classifier with attention, a `PretrainedConfig`
        for a plain network.

    Raises:
        ValueError: If the zoo has no such model; the message lists near names.

    Example:

    ```python
    from keras_aib import zoo

    print(zoo.info("aib_efficientnet_lite0.imagenet").image_size)
    ```
    """
    if name in MODELS:
        return MODELS[name]
    if name in BACKBONES:
        return BACKBONES[name]
    raise unknown_name(name)


def unknown_name(name: str, others: Iterable[str] = ()) -> ValueError:
    """The error for a name that is neither in the zoo nor in `others`."""
    known = [*BACKBONES, *MODELS]
    near = difflib.get_close_matches(name, [*known, *others], n=5, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return ValueError(
        f"Unknown model: name={name!r}.{hint} `zoo.list_models()` names all "
        f"{len(known)}, `keras-aib list` shows them."
    )
