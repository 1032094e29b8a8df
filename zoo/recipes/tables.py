"""Tables of the zoo's pages, made from its registry and its results.

Command:  python -m keras_aib.zoo.recipes.tables
Cost:     seconds.
Result:   the parts of zoo/README.md and of zoo/results/*.md between
          `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
"""

import argparse
import re
from collections.abc import Callable
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_aib.utils.files import written_whole
from keras_aib.zoo.model_config import ModelConfig
from keras_aib.zoo.recipes.exports import EXPORTS
from keras_aib.zoo.recipes.results import RESULTS
from keras_aib.zoo.recipes.results import read_rows
from keras_aib.zoo.registry import MODELS

ZOO = Path(__file__).parents[1]

LABELS = {
    "plain": "plain head",
    "deterministic": "deterministic attention",
    "aib": "AIB, continuous",
    "aib_quantized": "AIB, anchors",
    "keras_predict": "Keras predict",
    "coiba": "CoIBA",
    "iba": "IBA",
    "grad_cam": "Grad-CAM",
    "integrated_gradients": "integrated gradients",
    "attention": "its own attention",
}

Row = dict[str, str]


def _form(scale: float, specification: str) -> Callable[[float], str]:
    return lambda value: format(scale * value, specification)


_percent = _form(100, ".1f")
_percent2 = _form(100, ".2f")
_thousands = _form(1, ",.0f")
_three = _form(1, ".3f")
_whole = _form(1, ".0f")
_thousandths = _form(1e3, ".2f")
_millions = _form(1e-6, ".2f")

Column = tuple[str, str, Callable[[float], str]]

TRAINED: tuple[Column, ...] = (
    ("accuracy", "accuracy %", _percent),
    ("nll", "NLL, nats", _three),
    ("ece", "ECE %", _percent),
    ("kl_bits", "KL, bits", _whole),
    ("attention_mean", "mean score", _three),
    ("attention_spread", "spread", _three),
)
LOCALISED: tuple[Column, ...] = (
    ("accuracy", "accuracy %", _percent),
    ("area_share", "area %", _percent),
    ("mass_share", "mass inside %", _percent),
    ("contrast_share", "mass above minimum inside %", _percent),
    ("pointing", "pointing %", _percent),
    ("ehr", "EHR", _three),
)
ROBUST: tuple[Column, ...] = (
    ("attack_0", "clean %", _percent),
    ("corrupted", "corrupted %", _percent),
    *((f"severity_{n}", f"severity {n}", _percent) for n in range(1, 6)),
    *((f"attack_{e}", f"FGSM {e}", _percent) for e in ("0.5", "1", "2", "4")),
)
COSTS: tuple[Column, ...] = (
    ("images_per_second", "images/s", _three),
    ("ratio_to_plain", "time / plain", _three),
    ("ratio_to_plain_least", "least", _three),
    ("ratio_to_plain_most", "most", _three),
    ("memory_ratio_to_plain", "memory / plain", _three),
)
SAMPLING: tuple[Column, ...] = (
    ("seconds", "seconds", _three),
    ("ratio_to_trunk_and_tails", "time / trunk and tails", _three),
    ("ratio_to_trunk_and_tails_least", "least", _three),
    ("ratio_to_trunk_and_tails_most", "most", _three),
)
ATTRIBUTION_SPEED: tuple[Column, ...] = (
    ("batched_seconds_per_image", "s / image", _three),
    ("loop_seconds_per_image", "s / image, one by one", _three),
    ("times_faster", "times faster", _three),
    ("times_faster_least", "least", _three),
    ("times_faster_most", "most", _three),
    ("first_call_seconds", "first call, s", _three),
    ("peak_memory_mb", "peak memory, MB", _whole),
)
LATENCY: tuple[Column, ...] = (
    ("seconds", "ms per image", _thousandths),
    ("ratio_to_keras_predict", "time / Keras predict", _three),
    ("ratio_to_keras_predict_least", "least", _three),
    ("ratio_to_keras_predict_most", "most", _three),
    ("size_bytes", "MB", _millions),
)


EXPLAINED: tuple[Column, ...] = (
    ("insertion", "insertion ↑ %", _percent),
    ("deletion", "deletion ↓ %", _percent),
    ("road_lerf", "ROAD, least first ↑ %", _percent),
    ("road_morf", "ROAD, most first ↓ %", _percent),
    ("grid_pointing", "grid pointing ↑ %", _percent),
    ("bits", "bits", _whole),
    ("seconds_per_image", "s / image", _three),
)
QUANTIZED: tuple[Column, ...] = (
    ("accuracy", "accuracy %", _percent2),
    ("accuracy_lost", "lost, points", _percent2),
    ("agreement", "same class as float32 %", _percent),
    ("attention_difference", "mean difference of the map", _three),
    ("size", "bytes", _thousands),
    ("size_ratio", "size / float32", _three),
)


def results_table(
    rows: Iterable[Row],
    experiment: str,
    columns: tuple[Column, ...],
    *by: str,
) -> str:
    """Means over seeds, with the standard deviation where there are several.

    Args:
        rows: Rows of the results.
        experiment: Which of them.
        columns: Metric, heading and format of each column.
        *by: `"variant"`, `"setting"`: what a line of the table is.

    Returns:
        Markdown; a sentence if there are no rows.
    """
    rows = [row for row in rows if row["experiment"] == experiment]
    if not rows:
        return "Not run yet."
    lines = []
    keys = dict.fromkeys(tuple(row[name] for name in by) for row in rows)
    for key in keys:
        chosen = [row for row in rows if tuple(row[x] for x in by) == key]
        cells = [
            _cell([row for row in chosen if row["metric"] == metric], form)
            for metric, _, form in columns
        ]
        labels = [LABELS.get(part, part) for part in key]
        lines.append([*labels, *cells, *_seeds_of(chosen)])
    headings = [*by, *(heading for _, heading, _ in columns)]
    headings += ["seeds"] * len(_seeds_of(rows))
    return f"{_markdown(headings, lines)}\n\n{_provenance(rows)}"


def _seeds_of(rows: list[Row]) -> list[str]:
    """How many seeds there are; speed has none."""
    unseeded = ("attribution_speed", "benchmark", "latency", "quantization")
    if rows[0]["experiment"].startswith(unseeded):
        return []
    return [str(len({row["seed"] for row in rows}))]


def _cell(rows: list[Row], form: Callable[[float], str]) -> str:
    if not rows:
        return ""
    values = np.array([float(row["value"]) for row in rows])
    mean = form(float(values.mean()))
    if len(values) == 1:
        return mean
    return f"{mean} ± {form(float(values.std(ddof=1)))}"


def _provenance(rows: list[Row]) -> str:
    def all_of(column: str) -> str:
        return ", ".join(dict.fromkeys(row[column] for row in rows))

    seconds = {
        (row["variant"], row["setting"], row["seed"]): float(row["seconds"])
        for row in rows
        if row["seconds"]
    }
    cost = ""
    if seconds:
        cost = f" Median training time {np.median([*seconds.values()]):.0f} s."
    return (
        f"`{all_of('command')}`, {all_of('device')}, {all_of('backend')} "
        f"backend, Keras {all_of('keras')}, commit {all_of('commit')}.{cost}"
    )


def latency_table(rows: Iterable[Row]) -> str:
    """What `benchmark --what latency` measured, by runtime and threads."""
    split = []
    for row in rows:
        if row["experiment"] == "latency":
            runtime, _, threads = row["variant"].rpartition(", ")
            threads = threads.partition(" ")[0]
            split.append({**row, "runtime": runtime, "threads": threads})
    by = ("model", "backend", "setting", "runtime", "threads")
    return results_table(split, "latency", LATENCY, *by)


def exports_table(rows: Iterable[Row]) -> str:
    """Which model goes to which format from which backend, and why not."""
    outcomes = {
        (row["model"], row["format"], row["backend"]): row for row in rows
    }
    if not outcomes:
        return "Not run yet."
    models, formats, backends = (
        list(dict.fromkeys(key[position] for key in outcomes))
        for position in range(3)
    )
    reasons: list[str] = []

    def mark(row: Row | None) -> str:
        if row is None:
            return "-"
        if row["works"] == "yes":
            elsewhere = row["route"] != row["backend"]
            return "✓ᵗ" if elsewhere else "✓"
        # The reason without the model's name, which stands before it.
        reason = row["error"].partition("nothing was written. By ")[2]
        reason = reason or row["error"]
        if reason not in reasons:
            reasons.append(reason)
        return f"✗ ({reasons.index(reason) + 1})"

    lines = [
        [
            f"`{model}`",
            *(
                " ".join(
                    mark(outcomes.get((model, form, backend)))
                    for backend in backends
                )
                for form in formats
            ),
        ]
        for model in models
    ]
    table = _markdown(["model", *formats], lines)
    notes = "".join(
        f"\n{number}. `{reason}`" for number, reason in enumerate(reasons, 1)
    )
    first = next(iter(outcomes.values()))
    commits = ", ".join(
        dict.fromkeys(row["commit"] for row in outcomes.values())
    )
    return (
        f"{table}\n{notes and notes + chr(10)}\nIn each cell: "
        f"{', '.join(backends)}. `python -m keras_aib.zoo.recipes.exports`, "
        f"{first['device']}, Keras {first['keras']}, commit {commits}."
    )


def models_table(models: Iterable[ModelConfig] = MODELS.values()) -> str:
    """What `zoo.load` knows."""
    lines = []
    for row in models:
        weights = "none"
        if row.preset is not None:
            weights = "trained, installed"
        elif row.pretrained is not None:
            weights = f"backbone: {row.origin}"
        lines.append(
            [
                f"`{row.name}`",
                f"{row.parameters:,}",
                str(row.num_classes),
                "x".join(map(str, row.image_size)),
                f"`{row.attention_layer}`" if row.attention_layer else "output",
                str(row.num_anchors or "continuous"),
                weights,
                row.licence,
            ]
        )
    headings = [
        "name",
        "parameters",
        "with classes",
        "pixels",
        "attention at",
        "anchors",
        "weights",
        "licence",
    ]
    return _markdown(headings, lines)


def _markdown(headings: list[str], lines: list[list[str]]) -> str:
    rows = [headings, ["---"] * len(headings), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def fill(pages: dict[Path, str], tables: dict[str, str]) -> dict[Path, str]:
    """Replace what stands between the markers of each table.

    Args:
        pages: Text of each page.
        tables: Each table by the name of its markers.

    Returns:
        The new texts.

    Raises:
        ValueError: If a table's markers stand on no page.
    """
    filled = dict(pages)
    for name, table in tables.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        pattern = re.compile(f"{begin}.*?{end}", re.DOTALL)
        whole = f"{begin}\n{table}\n{end}".replace("\\", r"\\")
        found = [path for path, text in filled.items() if pattern.search(text)]
        if not found:
            raise ValueError(f"The markers {begin} and {end} are missing.")
        for path in found:
            filled[path] = pattern.sub(whole, filled[path])
    return filled


def read_pages(folder: Path = ZOO) -> dict[Path, str]:
    """Text of every page that may hold tables."""
    paths = [folder / "README.md", *sorted(folder.glob("results/*.md"))]
    return {path: path.read_text(encoding="utf-8") for path in paths}


def all_tables(rows: list[Row]) -> dict[str, str]:
    """Every table by the name of its markers."""
    return {
        "models": models_table(),
        "learning_rate": results_table(
            rows, "learning_rate", TRAINED[:3], "variant", "setting"
        ),
        "fine_tuning": results_table(rows, "fine_tuning", TRAINED, "variant"),
        "where_it_looks": results_table(
            rows, "where_it_looks", LOCALISED, "variant", "setting"
        ),
        "robustness": results_table(rows, "robustness", ROBUST, "variant"),
        "from_scratch": results_table(rows, "from_scratch", TRAINED, "variant"),
        "choices": results_table(rows, "choices", TRAINED, "setting"),
        "attribution": results_table(
            rows, "attribution", EXPLAINED, "model", "variant", "setting"
        ),
        "benchmark": results_table(
            rows, "benchmark", COSTS, "model", "backend", "setting", "variant"
        ),
        "benchmark_samples": results_table(
            rows, "benchmark_samples", SAMPLING, "model", "backend", "variant"
        ),
        "attribution_speed": results_table(
            rows,
            "attribution_speed",
            ATTRIBUTION_SPEED,
            *("model", "variant", "setting"),
        ),
        "latency": latency_table(rows),
        "quantization": results_table(
            rows, "quantization", QUANTIZED, "variant"
        ),
        "exports": exports_table(read_rows(EXPORTS)),
    }


def main(arguments: list[str] | None = None) -> None:
    """Write the tables into the pages."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--pages", type=Path, default=ZOO)
    options = parser.parse_args(arguments)
    pages = read_pages(options.pages)
    filled = fill(pages, all_tables(read_rows(options.results)))
    for page, text in filled.items():
        if text != pages[page]:
            with written_whole(page) as path:
                path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
