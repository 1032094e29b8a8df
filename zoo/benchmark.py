"""What the bottleneck costs in time and memory, beside the plain backbone.

    python -m keras_aib.zoo.benchmark --model resnet50 --output results.csv

Variants take turns, A B C A B C, in one process, so that whatever else the
machine does falls on all of them; a ratio is the median over the rounds of the
quotient within a round. Peak memory is that of a process of its own.
"""

import argparse
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from keras_aib.zoo.benchmark_memory import own_peak_memory
from keras_aib.zoo.benchmark_memory import peak_memory
from keras_aib.zoo.benchmark_workload import MODELS
from keras_aib.zoo.benchmark_workload import POLICIES
from keras_aib.zoo.benchmark_workload import Workload
from keras_aib.zoo.benchmark_workload import step
from keras_aib.zoo.recipes.results import RESULTS
from keras_aib.zoo.recipes.results import append_run
from keras_aib.zoo.recipes.variants import VARIANTS

SAMPLED = "aib_quantized"
GROWTH = (0.5, 1.0, 1.5)
WHAT = ("training", "inference", "samples", "pixels", "batch")


def interleave(
    tasks: dict[str, Callable[[], Any]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time functions by turns.

    Args:
        tasks: Functions by name. Each is called once more, first and untimed:
            that is when a model is compiled.
        rounds: How often each is timed.
        clock: Gives the time in seconds.

    Returns:
        For each name the seconds of its calls, in the order of the rounds.
    """
    for task in tasks.values():
        task()
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            start = clock()
            task()
            seconds[name].append(clock() - start)
    return seconds


def compare(
    seconds: dict[str, list[float]], reference: str, num_images: int
) -> dict[str, dict[str, float]]:
    """Figures of what `interleave` timed.

    Args:
        seconds: What it returned.
        reference: Name of the task that the others are divided by.
        num_images: Images that one call processes.

    Returns:
        For each name: median, least and most seconds of a call; images per
        second at the median; and median, least and most of the quotients by
        the reference within a round.
    """
    figures = {}
    for name, own in seconds.items():
        ratios = [a / b for a, b in zip(own, seconds[reference], strict=True)]
        median = statistics.median(own)
        figures[name] = {
            "images_per_second": num_images / median,
            "seconds": median,
            "seconds_least": min(own),
            "seconds_most": max(own),
            f"ratio_to_{reference}": statistics.median(ratios),
            f"ratio_to_{reference}_least": min(ratios),
            f"ratio_to_{reference}_most": max(ratios),
        }
    return figures


def benchmark_steps(
    workload: Workload,
    kind: str,
    variants: Sequence[str] = VARIANTS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, float]]:
    """Figures of a training or inference step, for each variant.

    Args:
        workload: What to measure.
        kind: `"training"` or `"inference"`.
        variants: The first is the one that the others are divided by.
        clock: As for `interleave`.
    """
    tasks = {
        variant: step(workload.build(variant), kind, workload)
        for variant in variants
    }
    seconds = interleave(tasks, workload.rounds, clock)
    return compare(seconds, variants[0], workload.steps * workload.batch_size)


def benchmark_samples(
    workload: Workload, clock: Callable[[], float] = time.perf_counter
) -> dict[str, dict[str, float]]:
    """Figures of `predict_samples`, beside what it repeats and what it saves.

    `trunk_and_tails` is the least that any way of sampling must do: the part
    before the attention once, the part behind it once per sample, no noise.
    `passes` runs the whole model once per sample.
    """
    model = workload.build(SAMPLED)
    images = workload.data()[0][: workload.batch_size]
    count = workload.num_samples
    attention = model.attention_block
    trunk = keras.Model(model.input, attention.input)
    tail = keras.Model(attention.output[0], model.output)

    def trunk_and_tails() -> None:
        features = keras.ops.convert_to_tensor(trunk.predict_on_batch(images))
        for _ in range(count):
            tail.predict_on_batch(features)

    def passes() -> None:
        for _ in range(count):
            model.predict_on_batch(images)

    def predict_samples() -> None:
        model.predict_samples(images, count, batch_size=len(images))

    tasks = {
        "trunk_and_tails": trunk_and_tails,
        "predict_samples": predict_samples,
        "passes": passes,
    }
    seconds = interleave(tasks, workload.rounds, clock)
    return compare(seconds, "trunk_and_tails", len(images))


def grown(workload: Workload, what: str) -> list[Workload]:
    """The workload with fewer and more `"pixels"` or images per `"batch"`."""
    if what == "pixels":
        sizes = [round(factor * workload.image_size) for factor in GROWTH]
        return [replace(workload, image_size=size) for size in sizes]
    counts = [max(1, round(x * workload.batch_size)) for x in (*GROWTH, 2.0)]
    return [replace(workload, batch_size=count) for count in counts]


def measure(
    workload: Workload, what: str, memory: bool = True
) -> list[dict[str, Any]]:
    """Everything that one entry of `--what` asks for.

    Returns:
        A row for each variant and workload: what to pass to `append_run`, with
        the figures under `"metrics"`.
    """
    if what == "samples":
        figures = benchmark_samples(workload)
        setting = f"{what}, {workload}, {workload.num_samples} samples"
        return _rows("benchmark_samples", setting, workload, figures)
    if what in ("pixels", "batch"):
        runs = [
            (kind, size, ("plain", SAMPLED))
            for size in grown(workload, what)
            for kind in ("training", "inference")
        ]
    else:
        runs = [(what, workload, VARIANTS)]
    experiment = "benchmark" if what in WHAT[:2] else f"benchmark_{what}"
    rows = []
    for kind, size, variants in runs:
        # First, so that this process does not yet hold the device's memory.
        peaks = peak_memory(size, kind, variants) if memory else {}
        figures = benchmark_steps(size, kind, variants)
        for variant, timed in figures.items():
            timed.update(peaks.get(variant, {}))
        rows += _rows(experiment, f"{kind}, {size}", size, figures)
        keras.utils.clear_session()
    return rows


def _rows(
    experiment: str,
    setting: str,
    workload: Workload,
    figures: dict[str, dict[str, float]],
) -> list[dict[str, Any]]:
    return [
        {
            "experiment": experiment,
            "model": workload.model,
            "variant": variant,
            "setting": setting,
            "seed": 0,
            "image_size": workload.image_size,
            "metrics": metrics,
        }
        for variant, metrics in figures.items()
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what the arguments ask for and append it to a CSV file.

    Args:
        argv: Arguments of the command; `None` for those of the process.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    options = _parse(argv)
    workload = Workload(
        model=options.model,
        image_size=options.image_size,
        batch_size=options.batch_size,
        precision=options.precision,
        rounds=options.rounds,
        steps=2 if options.memory_of else options.steps,
        num_samples=options.num_samples,
    )
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[workload.precision])
    try:
        if options.memory_of:
            variant, kind = options.memory_of
            sys.stdout.write(own_peak_memory(workload, kind, variant))
            return
        for what in options.what.split(","):
            for row in measure(workload, what, not options.no_memory):
                _write(row, options.output, argv)
    finally:
        keras.config.set_dtype_policy(policy)


def _write(row: dict[str, Any], path: str, argv: list[str]) -> None:
    metrics = row.pop("metrics")
    backend = keras.config.backend()
    # The backend's own version; importing it here would import TensorFlow.
    version = f"{backend} {sys.modules[backend].__version__}"
    row["keras"] = f"{keras.version()}, {version}"
    row["command"] = f"python -m keras_aib.zoo.benchmark {shlex.join(argv)}"
    append_run(row, metrics, path)
    shown = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    sys.stdout.write(f"{row['setting']}, {row['variant']}: {shown}\n")
    sys.stdout.flush()


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m keras_aib.zoo.benchmark",
        description="Time and memory of the bottleneck, as ratios to plain.",
    )
    add = parser.add_argument
    add("--model", choices=MODELS, default="resnet50")
    add("--image-size", type=int, default=224, help="pixels")
    add("--batch-size", type=int, default=8)
    add("--precision", choices=POLICIES, default="float32")
    add("--rounds", type=int, default=10)
    add("--steps", type=int, default=4, help="batches per round")
    add("--num-samples", type=int, default=12)
    add("--what", default=",".join(WHAT), help="of " + ",".join(WHAT))
    add("--output", default=str(RESULTS), help="CSV file to append to")
    add("--no-memory", action="store_true", help="do not measure memory")
    add("--memory-of", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    unknown = set(options.what.split(",")) - set(WHAT)
    if unknown:
        parser.error(f"--what: {sorted(unknown)} are not among {WHAT}")
    for name in ("image_size", "batch_size", "rounds", "steps", "num_samples"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be 1 or more")
    return options


if __name__ == "__main__":
    main()
