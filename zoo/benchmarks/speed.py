"""What the bottleneck costs in time and memory, beside the plain backbone.

    python -m keras_aib.zoo.benchmarks.speed --model resnet50 \\
        --output results.csv
    python -m keras_aib.zoo.benchmarks.speed --what latency --model resnet50

Variants take turns, A B C A B C, in one process, so that whatever else the
machine does falls on all of them; a ratio is the median over the rounds of the
quotient within a round. Peak memory is that of a process of its own. The
latency of exported files is measured in other processes, which take turns in
the same way.
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

from keras_aib.zoo.benchmarks.latency import FILES
from keras_aib.zoo.benchmarks.latency import REFERENCE
from keras_aib.zoo.benchmarks.latency import latency_tasks
from keras_aib.zoo.benchmarks.latency import variant_name
from keras_aib.zoo.benchmarks.memory import own_peak_memory
from keras_aib.zoo.benchmarks.memory import peak_memory
from keras_aib.zoo.benchmarks.workload import MODELS
from keras_aib.zoo.benchmarks.workload import POLICIES
from keras_aib.zoo.benchmarks.workload import Workload
from keras_aib.zoo.benchmarks.workload import step
from keras_aib.zoo.loading import load
from keras_aib.zoo.recipes.results import RESULTS
from keras_aib.zoo.recipes.results import append_run
from keras_aib.zoo.recipes.variants import VARIANTS
from keras_aib.zoo.registry import info

SAMPLED = "aib_quantized"
GROWTH = (0.5, 1.0, 1.5)
WHAT = ("training", "inference", "samples", "pixels", "batch", "latency")
TRAINED = "aib_efficientnet_lite0.cifar10"


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


def benchmark_latency(
    workload: Workload, files: Sequence[tuple[str, str | None]] = FILES
) -> tuple[dict[str, dict[str, float]], str]:
    """Figures of exported files, each beside Keras on as many threads.

    Args:
        workload: What to measure. Seconds are those of one image.
        files: Format and quantization of the files.

    Returns:
        Figures by variant, such as `"onnx int8, 1 thread"`; and what they were
        measured on, in words.
    """
    if workload.model == TRAINED:
        model = load(TRAINED, image_size=workload.image_size)
    else:
        model = workload.build(SAMPLED)
    with latency_tasks(model, workload, files) as latency:
        seconds = interleave(latency.tasks, workload.rounds, latency.clock)
    figures = {}
    for count in latency.threads:
        own = {
            name: seconds[variant_name(name, count)]
            for name in latency.candidates
        }
        for name, timed in compare(own, REFERENCE, 1).items():
            timed.update(latency.candidates[name].metrics)
            figures[variant_name(name, count)] = timed
    return figures, latency.device


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
    if what == "latency":
        figures, device = benchmark_latency(workload)
        setting = f"{workload.image_size} px, batch {workload.batch_size}"
        rows = _rows("latency", setting, workload, figures)
        return [{**row, "device": device} for row in rows]
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
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[options.precision])
    try:
        if options.memory_of:
            variant, kind = options.memory_of
            workload = _workload(options, kind, steps=2)
            sys.stdout.write(own_peak_memory(workload, kind, variant))
            return
        for what in options.what.split(","):
            workload = _workload(options, what, options.steps)
            for row in measure(workload, what, not options.no_memory):
                _write(row, options.output, argv)
    finally:
        keras.config.set_dtype_policy(policy)


def _workload(options: argparse.Namespace, what: str, steps: int) -> Workload:
    image_size, batch_size = options.image_size, options.batch_size
    if image_size is None:
        trained = options.model == TRAINED
        image_size = info(TRAINED).image_size[0] if trained else 224
    if batch_size is None:
        batch_size = 1 if what == "latency" else 8
    return Workload(
        model=options.model,
        image_size=image_size,
        batch_size=batch_size,
        precision=options.precision,
        rounds=options.rounds,
        steps=steps,
        num_samples=options.num_samples,
    )


def _write(row: dict[str, Any], path: str, argv: list[str]) -> None:
    metrics = row.pop("metrics")
    backend = keras.config.backend()
    # The backend's own version; importing it here would import TensorFlow.
    version = f"{backend} {sys.modules[backend].__version__}"
    row["keras"] = f"{keras.version()}, {version}"
    row["command"] = (
        f"python -m keras_aib.zoo.benchmarks.speed {shlex.join(argv)}"
    )
    append_run(row, metrics, path)
    shown = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    sys.stdout.write(f"{row['setting']}, {row['variant']}: {shown}\n")
    sys.stdout.flush()


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m keras_aib.zoo.benchmarks.speed",
        description="Time and memory of the bottleneck, as ratios to plain.",
    )
    add = parser.add_argument
    add("--model", choices=(*MODELS, TRAINED), default="resnet50")
    add("--image-size", type=int, help="pixels; 224 if the model takes any")
    add("--batch-size", type=int, help="8; for latency 1")
    add("--precision", choices=POLICIES, default="float32")
    add("--rounds", type=int, default=10)
    add("--steps", type=int, default=4, help="batches per round")
    add("--num-samples", type=int, default=12)
    add("--what", default=",".join(WHAT[:-1]), help="of " + ",".join(WHAT))
    add("--output", default=str(RESULTS), help="CSV file to append to")
    add("--no-memory", action="store_true", help="do not measure memory")
    add("--memory-of", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    unknown = set(options.what.split(",")) - set(WHAT)
    if unknown:
        parser.error(f"--what: {sorted(unknown)} are not among {WHAT}")
    if options.model == TRAINED and options.what != "latency":
        parser.error(f"--model {TRAINED} is for --what latency only")
    if "latency" in options.what and options.precision != "float32":
        parser.error("--what latency compares with --precision float32 only")
    for name in ("image_size", "batch_size", "rounds", "steps", "num_samples"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} must be 1 or more")
    return options


if __name__ == "__main__":
    main()
