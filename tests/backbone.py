"""A row of the catalogue of backbones, and builders of backbones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Backbone:
    """One row of the catalogue, and of the table in the README.

    Attributes:
        name: Family, unique.
        library: Where it comes from.
        build: Makes it.
        attention_layer: Level or layer the attention is tried at.
        map_size: Side of the attention map there.
        image_size: Side of the images in pixels.
        num_prefix_tokens: Tokens of its output that are no patches.
        ordinary: Whether it belongs to the ordinary tests, not the large.
        frozen: Layers that are not trained.
        note: What a user must know, for the table.
    """

    name: str
    library: str
    build: Callable[[], keras.Model]
    attention_layer: str | None
    map_size: int
    image_size: int = 32
    num_prefix_tokens: int = 0
    ordinary: bool = False
    frozen: tuple[str, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        return f"{self.library}-{self.name}".replace(" ", "_")


def hub(name: str, **config: Any) -> Callable[[], keras.Model]:
    """Builder of a KerasHub backbone."""

    def build() -> keras.Model:
        import keras_hub

        return getattr(keras_hub.models, name)(**config)

    return build


def cv(name: str, **config: Any) -> Callable[[], keras.Model]:
    """Builder of a KerasCV backbone by its generic constructor."""

    def build() -> keras.Model:
        import keras_cv

        return getattr(keras_cv.models, name)(include_rescaling=False, **config)

    return build


def application(
    name: str, size: int = 32, **config: Any
) -> Callable[[], keras.Model]:
    """Builder of a keras.applications model without its top."""

    def build() -> keras.Model:
        return getattr(keras.applications, name)(
            include_top=False,
            weights=None,
            input_shape=(size, size, 3),
            **config,
        )

    return build
