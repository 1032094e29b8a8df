"""Every measured figure of the zoo, one a line, in one CSV file."""

import csv
import os
import platform
import subprocess
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_aib.utils.files import written_whole
from keras_aib.zoo.download import file_lock

RESULTS = Path(__file__).parents[1] / "results" / "results.csv"
COLUMNS = (
    "experiment",
    "model",
    "variant",
    "setting",
    "seed",
    "metric",
    "value",
    "train_images",
    "test_images",
    "image_size",
    "epochs",
    "seconds",
    "device",
    "backend",
    "keras",
    "commit",
    "command",
)
RUN_COLUMNS = ("experiment", "model", "variant", "setting", "seed")


def read_rows(path: str | os.PathLike = RESULTS) -> list[dict[str, str]]:
    """All rows; an empty list if there is no file yet."""
    if not Path(path).is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def is_done(run: dict[str, Any], path: str | os.PathLike = RESULTS) -> bool:
    """Whether a run has its rows, so that a sweep can skip it.

    Args:
        run: Values of `RUN_COLUMNS`.
        path: The CSV file.
    """
    wanted = {name: str(run[name]) for name in RUN_COLUMNS}
    return any(
        all(row[name] == value for name, value in wanted.items())
        for row in read_rows(path)
    )


def best_learning_rate(
    variant: str, path: str | os.PathLike = RESULTS
) -> float:
    """The rate with the lowest loss on validation images, from `fine_tuning`.

    Args:
        variant: One of `VARIANTS`.
        path: The CSV file.

    Raises:
        ValueError: If no rate was tried yet.
    """
    tried = {
        float(row["setting"].partition("=")[2]): float(row["value"])
        for row in read_rows(path)
        if row["experiment"] == "learning_rate"
        and row["variant"] == variant
        and row["metric"] == "nll"
    }
    if not tried:
        raise ValueError(
            f"{str(path)!r} has no learning rates of {variant!r}. Run "
            "`python -m keras_aib.zoo.recipes.fine_tuning` first."
        )
    return min(tried, key=lambda rate: tried[rate])


def append_run(
    run: dict[str, Any],
    metrics: dict[str, float],
    path: str | os.PathLike = RESULTS,
) -> None:
    """Add the figures of one finished run, all or none of them.

    Several sweeps may write to one file.

    Args:
        run: Values for the columns, but for metric and value; device, backend,
            versions and commit are added.
        metrics: Figures by name; each becomes a row.
        path: The CSV file.

    Raises:
        ValueError: If the run has a column that the file has not.
    """
    common = {**provenance(), **run}
    unknown = set(common) - set(COLUMNS)
    if unknown:
        raise ValueError(
            f"Unknown columns {sorted(unknown)}; the columns are {COLUMNS}."
        )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(path):
        new = [
            {**common, "metric": name, "value": f"{value:.6g}"}
            for name, value in metrics.items()
        ]
        write_rows([*read_rows(path), *new], path)


def write_rows(
    rows: Iterable[dict[str, Any]],
    path: str | os.PathLike,
    columns: Sequence[str] = COLUMNS,
) -> None:
    """Write all rows, whole or not at all."""
    with (
        written_whole(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def provenance() -> dict[str, str]:
    """Where a figure comes from: device, backend, Keras, commit."""
    return {
        "device": device_name(),
        "backend": keras.config.backend(),
        "keras": keras.version(),
        "commit": _commit(),
    }


def device_name() -> str:
    """The accelerator in words, else the number of CPU cores."""
    if keras.config.backend() == "tensorflow":
        from tensorflow import config

        for device in config.list_physical_devices("GPU"):
            return config.experimental.get_device_details(device).get(
                "device_name", "GPU"
            )
    if keras.config.backend() == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    if keras.config.backend() == "jax":
        import jax

        if jax.devices()[0].platform != "cpu":
            return jax.devices()[0].device_kind
    return f"{os.cpu_count()} CPU cores {platform.machine()}"


def _commit() -> str:
    """The commit, and whether more than the files of results differs."""
    folder = Path(__file__).parent
    try:
        commit = _git("describe", "--always", "--abbrev=10", cwd=folder)
        changed = _git(
            *("status", "--porcelain", "--untracked-files=no", "--"),
            *(":/", ":(exclude,top)zoo/*.csv"),
            cwd=folder,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-dirty" if changed else commit


def _git(*arguments: str, cwd: Path) -> str:
    finished = subprocess.run(
        ["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True
    )
    return finished.stdout.strip()
