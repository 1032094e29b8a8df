"""Explanations compared: CoIBA, IBA, Grad-CAM, integrated gradients, random.

Command:  KERAS_BACKEND=tensorflow python -m \
              keras_aib.zoo.recipes.attribution_comparison
Needs:    keras-aib[tensorflow,hub,attribution], scikit-image, scikit-learn, and
          xplique for Grad-CAM and integrated gradients (its error message says
          how to install it).
Cost:     about 2 hours on 2 CPU cores: half of it for the AIB classifier, most
          of that for the metrics (0.6 s an image and method).
Result:   rows "attribution" of zoo/results/results.csv, table in
          zoo/results/attribution.md.

Two models of CIFAR-10 explain their prediction for its first 500 test images,
and one tile of 250 grids of four images that they are right about, of four
classes, at half the size. ImageNet's Lite0 does the same with seven photographs
and every grid of four of them. Feature statistics: 10,000 training images for
the transformer, 2,000 for Lite0, and for the photographs 2,000 random crops of
them. Each method has its published options; nothing was tuned.

Insertion, deletion and ROAD rank signed maps; in the grid pointing game what is
negative counts as zero.
"""

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib import attribution
from keras_aib.attribution import metrics
from keras_aib.graph.feature_layout import resize_maps
from keras_aib.zoo.recipes.compared_models import BUILDERS
from keras_aib.zoo.recipes.compared_models import TILES_A_SIDE
from keras_aib.zoo.recipes.compared_models import ComparedModel
from keras_aib.zoo.recipes.other_explanations import grad_cam
from keras_aib.zoo.recipes.other_explanations import integrated_gradients
from keras_aib.zoo.recipes.other_explanations import random_maps
from keras_aib.zoo.recipes.results import RESULTS
from keras_aib.zoo.recipes.results import append_run
from keras_aib.zoo.recipes.results import is_done

Explain = Callable[[np.ndarray, np.ndarray], np.ndarray]

RESTRICTING = ("coiba", "iba")
METHODS = (
    *RESTRICTING,
    "grad_cam",
    "integrated_gradients",
    "random",
    "attention",
)


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing in the results; can be stopped anywhere."""
    options = parse(arguments)
    for name in options.models:
        missing = [
            run
            for method in options.methods
            for seed in options.seeds
            if has_method(name, method)
            and not is_done(
                run := describe(name, method, seed, options), options.results
            )
        ]
        if not missing:
            continue
        compared = BUILDERS[name](name, options)
        if options.iba_layer is not None:
            compared = dataclasses.replace(
                compared, iba_layer=options.iba_layer
            )
        statistics = None
        if any(run["variant"] in RESTRICTING for run in missing):
            statistics = attribution.estimate_statistics(
                compared.model,
                sorted({compared.iba_layer, *compared.coiba_layers}),
                compared.statistics_images,
                batch_size=options.batch_size,
            )
        for run in missing:
            figures = measure(run, compared, statistics, options)
            run["test_images"] = len(compared.images)
            run["image_size"] = compared.images.shape[1]
            run["command"] = options.command
            append_run(run, figures, options.results)
            sys.stdout.write(f"{name} {run['variant']}: {figures}\n")


def has_method(name: str, method: str) -> bool:
    """Whether the model can explain itself in that way."""
    return method != "attention" or name.startswith("aib_")


def describe(
    name: str, method: str, seed: int, options: argparse.Namespace
) -> dict[str, Any]:
    """The columns of a run that tell it from others."""
    settings = {
        "coiba": f"beta={options.coiba_beta:g}",
        "iba": f"beta={options.iba_beta:g}"
        + (f" at {options.iba_layer}" if options.iba_layer else ""),
        "integrated_gradients": f"{options.integration_steps} steps from black",
    }
    return {
        "experiment": "attribution",
        "model": name,
        "variant": method,
        "setting": settings.get(method, ""),
        "seed": seed,
    }


def method_of(
    run: dict[str, Any],
    compared: ComparedModel,
    statistics: Any,
    options: argparse.Namespace,
) -> Explain:
    """What a run explains images and targets with."""
    model, batch_size = compared.model, options.batch_size
    restriction = {
        "statistics": statistics,
        "steps": options.steps,
        "copies": options.copies,
        "seed": run["seed"],
    }

    def coiba() -> Explain:
        layers = list(compared.coiba_layers)
        beta = options.coiba_beta
        return bits_of(
            attribution.CoIBA(model, layers, beta=beta, **restriction)
        )

    def iba() -> Explain:
        layer, beta = compared.iba_layer, options.iba_beta
        return bits_of(attribution.IBA(model, layer, beta=beta, **restriction))

    def bits_of(bottleneck: Any) -> Explain:
        return lambda images, targets: (
            bottleneck(images, targets, batch_size=batch_size).bits
        )

    def attention(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        maps = model.attention(images, batch_size=batch_size)["mean"]
        return resize_maps(maps, images.shape[1:3])

    # Functions, so that only what is asked for is built, and once a run.
    methods: dict[str, Callable[[], Explain]] = {
        "coiba": coiba,
        "iba": iba,
        "grad_cam": lambda: (
            lambda images, targets: grad_cam(
                model, images, targets, compared.grad_cam_layer, batch_size
            )
        ),
        "integrated_gradients": lambda: (
            lambda images, targets: integrated_gradients(
                model, images, targets, options.integration_steps, batch_size
            )
        ),
        "random": lambda: (
            lambda images, targets: random_maps(images, run["seed"])
        ),
        "attention": lambda: attention,
    }
    return methods[run["variant"]]()


def measure(
    run: dict[str, Any],
    compared: ComparedModel,
    statistics: Any,
    options: argparse.Namespace,
) -> dict[str, float]:
    """Figures of one method on one model."""
    explain = method_of(run, compared, statistics, options)
    maps = explain(compared.images, compared.targets)
    # The second call, which has nothing left to compile.
    started = time.monotonic()
    grid_maps = explain(compared.grids, compared.grid_targets)
    seconds = time.monotonic() - started
    judged = (compared.model, compared.images, maps, compared.targets)
    batched = {"batch_size": options.batch_size}
    pointing = metrics.grid_pointing_game(
        grid_maps, compared.grid_tiles, TILES_A_SIDE, TILES_A_SIDE
    )
    figures = {
        "insertion": metrics.insertion(*judged, **batched).mean,
        "deletion": metrics.deletion(*judged, **batched).mean,
        **{
            f"road_{order}": metrics.road(
                *judged, order=order, seed=run["seed"], **batched
            ).mean
            for order in ("morf", "lerf")
        },
        "grid_pointing": pointing.mean,
        "grids": float(len(compared.grids)),
        "seconds_per_image": seconds / len(grid_maps),
    }
    if run["variant"] in RESTRICTING:
        figures["bits"] = float(maps.sum(axis=(1, 2)).mean())
    return figures


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--models", nargs="+", choices=BUILDERS, default=list(BUILDERS)
    )
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=list(METHODS)
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--grids", type=int, default=250)
    parser.add_argument(
        "--grid-pool",
        type=int,
        default=2000,
        help="first test images that the tiles of the grids are drawn from",
    )
    parser.add_argument("--statistics-images", type=int, default=10_000)
    parser.add_argument(
        "--larger-statistics-images",
        type=int,
        default=2000,
        help="for models whose images are larger than 32 pixels",
    )
    parser.add_argument("--coiba-beta", type=float, default=1.0)
    parser.add_argument("--iba-beta", type=float, default=10.0)
    parser.add_argument("--iba-layer", help="instead of the model's own")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--integration-steps", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.set_defaults(
        command="python -m keras_aib.zoo.recipes.attribution_comparison"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    main()
