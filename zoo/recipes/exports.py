"""Every classifier of the zoo to every format, from the running backend.

Command:  KERAS_BACKEND=torch python -m keras_aib.zoo.recipes.exports
Needs:    keras-aib[export,hub] and TensorFlow, which writes what JAX and torch
          cannot write themselves.
Cost:     about half an hour on 2 CPU cores for each backend; `--models` and
          `--formats` choose. Can be stopped anywhere: what is in the file is
          skipped, and done again with `--again`.
Result:   zoo/results/exports.csv, a line per model, format and backend, from
          which
          `python -m keras_aib.zoo.recipes.tables` makes the table.
"""

import argparse
import fnmatch
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib import zoo
from keras_aib.export import export
from keras_aib.export.conversion import FORMATS
from keras_aib.export.parity import generated_images
from keras_aib.models import AIBClassifier
from keras_aib.zoo.download import file_lock
from keras_aib.zoo.model_config import ModelConfig
from keras_aib.zoo.recipes.results import provenance
from keras_aib.zoo.recipes.results import read_rows
from keras_aib.zoo.recipes.results import write_rows

EXPORTS = Path(__file__).parents[1] / "results" / "exports.csv"
COLUMNS = (
    "model",
    "format",
    "backend",
    "works",
    "route",
    "error",
    "max_difference",
    "size",
    "seconds",
    "device",
    "keras",
    "commit",
)
LARGEST_CONTRAST = 0.4
MOST_HALVINGS = 20
KEY = ("model", "format", "backend")


def exportable_models() -> list[str]:
    """Names of the zoo's classifiers, with attention and plain."""
    return [
        name
        for name in zoo.list_models()
        if isinstance(zoo.info(name), ModelConfig)
        or zoo.info(name).head_weights is not None
    ]


def build_model(name: str) -> tuple[keras.Model, dict[str, Any]]:
    """A classifier of the zoo without a network, and what export needs.

    Weights that come with the package are loaded. Others start at random, and
    are then changed so that there is something to compare: see
    `roughen_attention` and `spread_logits`.

    Args:
        name: One of `exportable_models()`.

    Returns:
        The model, and arguments of `export`.
    """
    config = zoo.info(name)
    if not isinstance(config, ModelConfig):
        return zoo.load_classifier(name), {
            "image_size": config.image_size,
            "outputs": ("probabilities",),
        }
    if config.preset is not None:
        return zoo.load(name), {}
    keras.utils.set_random_seed(0)
    model = zoo.load(name, config.num_classes, weights=None)
    images = generated_images((*config.image_size, 3))
    roughen_attention(model, images)
    spread_logits(model, images)
    return model, {}


def roughen_attention(model: AIBClassifier, images: np.ndarray) -> None:
    """Random numbers in place of the attention's zeros.

    Any file would reproduce the flat map that these give. They are made
    smaller until no score is near 0 or 1: an untrained network's features can
    be so large that rounding alone would move a score.
    """
    random = np.random.default_rng(0)
    weights = [
        weight
        for weight in model.attention_block.attention.trainable_weights
        if len(weight.shape) > 1
    ]
    for weight in weights:
        scale = 1 / np.sqrt(np.prod(weight.shape[:-1]))
        weight.assign(random.normal(0, scale, weight.shape))
    for _ in range(MOST_HALVINGS):
        scores = model.attention(images)["mean"]
        if np.abs(scores - 0.5).max() < LARGEST_CONTRAST:
            break
        weights[-1].assign(weights[-1] / 2)


def spread_logits(model: AIBClassifier, images: np.ndarray) -> None:
    """Change the last layer so that logits differ between images by about 1.

    An untrained network says nearly the same of every image, and so would a
    file that computes something else.

    Raises:
        ValueError: If the logits do not depend on the image at all.
    """
    logits = model.predict(images, verbose=0)
    spread = float(logits.std(axis=0).mean())
    if not spread > 0:
        raise ValueError(
            f"The logits of {model.name!r} do not depend on the image."
        )
    last = model.decoder.layers[-1]
    kernel, bias = last.get_weights()
    last.set_weights([kernel / spread, (bias - logits.mean(axis=0)) / spread])


def export_model(
    model: keras.Model, options: dict[str, Any], format_name: str
) -> dict[str, Any]:
    """Export once, to a folder that is thrown away.

    Args:
        model: The model.
        options: Arguments of `export`.
        format_name: The format.

    Returns:
        What happened, by the names of `COLUMNS`; an error by its first line.
    """
    begun = time.perf_counter()
    outcome: dict[str, Any] = {"format": format_name, "works": "no"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"model{FORMATS[format_name].suffix}")
        try:
            result = export(model, path, **options)
        # A converter raises whatever it likes, and that is the result.
        except Exception as error:
            outcome["error"] = first_lines(f"{type(error).__name__}: {error}")
        else:
            outcome |= {
                "works": "yes",
                "route": result.route,
                "max_difference": f"{max(result.max_difference.values()):.1e}",
                "size": result.size,
            }
    outcome["seconds"] = f"{time.perf_counter() - begun:.1f}"
    return outcome


def first_lines(text: str) -> str:
    """The first line of an error.

    Where that only says which layer Keras was in, what follows is the error.
    """
    plain = re.sub(r"\x1b\[\d*m", "", text)
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    wanted = 2 if "Exception encountered when calling" in lines[0] else 1
    return " ".join(lines[:wanted])


def record(row: dict[str, Any], path: Path) -> None:
    """Write a row in place of the one it repeats, if any."""
    with file_lock(path):
        rows = [
            other
            for other in read_rows(path)
            if any(other[name] != row[name] for name in KEY)
        ]
        write_rows([*rows, row], path, COLUMNS)


def main(argv: Sequence[str] | None = None) -> None:
    """Export what is not in the file yet.

    Args:
        argv: Arguments of the command; `None` for those of the process.
    """
    options = _parse(argv)
    backend = keras.config.backend()
    names = fnmatch.filter(exportable_models(), options.models)
    for name in names:
        done = {
            row["format"]
            for row in read_rows(options.output)
            if (row["model"], row["backend"]) == (name, backend)
        }
        wanted = [
            form
            for form in options.formats.split(",")
            if options.again or form not in done
        ]
        if not wanted:
            continue
        model, arguments = build_model(name)
        for form in wanted:
            outcome = export_model(model, arguments, form)
            row = {**provenance(), "model": name, **outcome}
            record(row, options.output)
            sys.stdout.write(f"{backend} {name} {outcome}\n")
            sys.stdout.flush()
        keras.utils.clear_session()


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m keras_aib.zoo.recipes.exports",
        description="Export every classifier of the zoo to every format.",
    )
    add = parser.add_argument
    add("--models", default="*", help="names, with wildcards")
    add("--formats", default=",".join(FORMATS))
    add("--again", action="store_true", help="also what is in the file")
    add("--output", type=Path, default=EXPORTS, help="CSV file")
    options = parser.parse_args(argv)
    unknown = set(options.formats.split(",")) - set(FORMATS)
    if unknown:
        parser.error(f"--formats: {sorted(unknown)} are not of {[*FORMATS]}")
    return options


if __name__ == "__main__":
    main()
