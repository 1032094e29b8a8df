"""Models whose explanations are compared, and the images for it."""

import argparse
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_aib import data
from keras_aib import zoo
from keras_aib.attribution.metrics import make_grid
from keras_aib.zoo.recipes.photographs import RECOGNISED
from keras_aib.zoo.recipes.photographs import load_photographs
from keras_aib.zoo.recipes.quantization import resized

TILES_A_SIDE = 2
NUM_TILES = TILES_A_SIDE**2

PHOTOGRAPH_SIZE = 224
CROPPED_FROM = 320

VIT_BLOCK = "vit_encoder/block_{}"


@dataclass(frozen=True)
class ComparedModel:
    """A model, where it is explained, and on what.

    Attributes:
        name: Its name in the zoo.
        model: From pixels to logits.
        images: `[N, H, W, 3]`, pixels 0..255.
        targets: The class to explain of each image.
        grids: As `images`, each made of four images of different classes.
        grid_targets: The class of one tile of each grid.
        grid_tiles: Which tile that is: 0..3, row by row.
        statistics_images: What the feature statistics are estimated from.
        iba_layer: Where IBA restricts.
        coiba_layers: Where CoIBA restricts.
        grad_cam_layer: The feature map that Grad-CAM weighs.
    """

    name: str
    model: Any
    images: np.ndarray
    targets: np.ndarray
    grids: np.ndarray
    grid_targets: np.ndarray
    grid_tiles: np.ndarray
    statistics_images: np.ndarray
    iba_layer: str
    coiba_layers: tuple[str, ...]
    grad_cam_layer: str


def vit_on_cifar10(name: str, options: argparse.Namespace) -> ComparedModel:
    """The small transformer; CoIBA in the later two thirds of its blocks."""
    return _on_cifar10(
        name,
        zoo.load_classifier(name),
        options,
        options.statistics_images,
        iba_layer=VIT_BLOCK.format(2),
        coiba_layers=tuple(
            f"{VIT_BLOCK.format(index)}/layer_norm_1" for index in range(2, 6)
        ),
        grad_cam_layer=f"{VIT_BLOCK.format(5)}/layer_norm_1",
    )


def aib_on_cifar10(name: str, options: argparse.Namespace) -> ComparedModel:
    """The trained AIB classifier."""
    return _on_cifar10(
        name,
        zoo.load(name),
        options,
        min(options.statistics_images, options.larger_statistics_images),
        **_lite0_layers(),
    )


def lite0_on_photographs(
    name: str, options: argparse.Namespace
) -> ComparedModel:
    """ImageNet's Lite0; grids are of every four of the photographs.

    There are few photographs to take feature statistics from: random crops of
    70 % of their width, mirrored at random, stand for more.
    """
    chosen = list(RECOGNISED)[: max(options.images, NUM_TILES)]
    classes = np.array([RECOGNISED[name] for name in chosen])
    size, tile = PHOTOGRAPH_SIZE, PHOTOGRAPH_SIZE // TILES_A_SIDE

    def batch(side: int) -> np.ndarray:
        found = load_photographs(side)
        return np.stack([found[name] for name in chosen])

    random = np.random.default_rng(0)
    members = [
        (random.permutation(four), place)
        for four in itertools.combinations(range(len(chosen)), NUM_TILES)
        for place in range(NUM_TILES)
    ]
    members = [members[i] for i in random.permutation(len(members))]
    members = members[: options.grids]
    indices = np.array([four for four, _ in members])
    tiles = np.array([place for _, place in members])
    return ComparedModel(
        name=name,
        model=zoo.load_classifier(name),
        images=batch(size),
        targets=classes,
        grids=grids_of(batch(tile), indices),
        grid_targets=classes[indices[np.arange(len(tiles)), tiles]],
        grid_tiles=tiles,
        statistics_images=random_crops(
            batch(CROPPED_FROM), size, options.larger_statistics_images
        ),
        **_lite0_layers(),
    )


BUILDERS: dict[str, Callable[[str, argparse.Namespace], ComparedModel]] = {
    "vit_tiny32.cifar10": vit_on_cifar10,
    "aib_efficientnet_lite0.cifar10": aib_on_cifar10,
    "efficientnet_lite0.imagenet": lite0_on_photographs,
}


def _lite0_layers() -> dict[str, Any]:
    """Blocks at a sixteenth of the image's side; Grad-CAM at the last map."""
    blocks = ("4a_", "4b_", "4c_", "5a_", "5b_", "5c_")
    return {
        "iba_layer": "block5c_",
        "coiba_layers": tuple(f"block{name}" for name in blocks),
        "grad_cam_layer": "top_activation",
    }


def _on_cifar10(
    name: str,
    model: keras.Model,
    options: argparse.Namespace,
    statistics_images: int,
    **layers: Any,
) -> ComparedModel:
    (train, train_labels), (test, test_labels) = data.load_cifar10()
    size = model.input_shape[1:3]
    pool = resized(test, test_labels, options.grid_pool, size)
    batch_size = options.batch_size
    predicted = model.predict(pool, batch_size, verbose=0).argmax(axis=-1)
    right = np.flatnonzero(predicted == test_labels[: len(pool)])
    members, tiles = draw_grids(right, predicted, options.grids)
    shrunk = keras.ops.convert_to_numpy(
        keras.ops.image.resize(
            test[np.unique(members)].astype("float32"),
            [side // TILES_A_SIDE for side in size],
            interpolation="bilinear",
            antialias=True,
            data_format="channels_last",
        )
    )
    places = np.searchsorted(np.unique(members), members)
    return ComparedModel(
        name=name,
        model=model,
        images=pool[: options.images],
        targets=predicted[: options.images],
        grids=grids_of(shrunk, places),
        grid_targets=predicted[members[np.arange(len(tiles)), tiles]],
        grid_tiles=tiles,
        statistics_images=resized(train, train_labels, statistics_images, size),
        **layers,
    )


def draw_grids(
    candidates: np.ndarray, labels: np.ndarray, count: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Which images make each grid, and which tile is asked for.

    Args:
        candidates: Indices that may be drawn.
        labels: Classes of all images.
        count: Number of grids.
        seed: Of the draw.

    Returns:
        Indices `[count, 4]` of four different classes, tiles `[count]`.

    Raises:
        ValueError: If the candidates are of fewer than four classes.
    """
    random = np.random.default_rng(seed)
    classes = np.unique(labels[candidates])
    if len(classes) < NUM_TILES:
        raise ValueError(
            f"A grid takes images of {NUM_TILES} classes. The images that the "
            f"model is right about are of {len(classes)}: offer more images "
            "(--grid-pool)."
        )
    members = [
        [
            random.choice(candidates[labels[candidates] == chosen])
            for chosen in random.permutation(classes)[:NUM_TILES]
        ]
        for _ in range(count)
    ]
    return np.array(members), random.integers(NUM_TILES, size=count)


def grids_of(pictures: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Grids `[count, H, W, 3]` of the pictures that `members` names."""
    return make_grid(pictures[members.ravel()], TILES_A_SIDE, TILES_A_SIDE)


def random_crops(
    images: np.ndarray, size: int, count: int, seed: int = 0
) -> np.ndarray:
    """Crops of `size` pixels at random places, every second mirrored."""
    random = np.random.default_rng(seed)
    crops = np.empty((count, size, size, images.shape[-1]), images.dtype)
    for index in range(count):
        image = images[random.integers(len(images))]
        top, left = (random.integers(n - size + 1) for n in image.shape[:2])
        crop = image[top : top + size, left : left + size]
        crops[index] = crop[:, ::-1] if index % 2 else crop
    return crops
