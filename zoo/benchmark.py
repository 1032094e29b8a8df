"""What the bottleneck costs in time and memory, beside the plain backbone.

    python -m keras_aib.zoo.benchmark --model resnet50 --output results.csv

Variants take turns, A B C A B C, in one process, so that whatever else the
machine does falls on all of them; a ratio is the median over the rounds of the
quotient within a round. Peak memory is that of a process of its own.
"""

import argparse
import functools
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.zoo.efficientnet_lite import build_efficientnet_lite
from keras_aib.zoo.recipes.results import RESULTS
from keras_aib.zoo.recipes.results import append_run
from keras_aib.zoo.recipes.variants import VARIANTS
from keras_aib.zoo.recipes.variants import build_variant

NUM_CLASSES = 10
SAMPLED = "aib_quantized"
GROWTH = (0.5, 1.0, 1.5)
POLICIES = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}
WHAT = ("training", "inference", "samples", "pixels", "batch")


def _resnet50(image_size: int) -> keras.Model:
    return keras.applications.ResNet50(
        include_top=False,
        weights=None,
        input_shape=(image_size, image_size, 3),
    )


def _efficientnet_lite0(image_size: int) -> keras.Model:
    return build_efficientnet_lite("lite0", (image_size, image_size, 3))


# Builder of the backbone, and where the attention goes: stride 16.
MODELS: dict[str, tuple[Callable[[int], keras.Model], str]] = {
    "resnet50": (_resnet50, "conv4_block6_out"),
    "efficientnet_lite0": (_efficientnet_lite0, "P4"),
}


@dataclass(frozen=True)
class Workload:
    """What is measured, and how often.

    Attributes:
        model: A key of `MODELS`.
        image_size: Height and width in pixels.
        batch_size: Images per batch.
        precision: A key of `POLICIES`.
        rounds: Timed rounds, after one that is not timed.
        steps: Batches per round and variant.
        num_samples: Samples of `predict_samples`.
    """

    model: str
    image_size: int = 224
    batch_size: int = 8
    precision: str = "float32"
    rounds: int = 10
    steps: int = 4
    num_samples: int = 12

    def __str__(self) -> str:
        return (
            f"{self.image_size} px, batch {self.batch_size}, {self.precision}"
        )

    def build(self, variant: str) -> keras.Model:
        """A compiled model of one of the compared variants."""
        build_backbone, attention_layer = MODELS[self.model]
        model = build_variant(
            variant,
            build_backbone(self.image_size),
            NUM_CLASSES,
            attention_layer=attention_layer,
            seed=0,
        ).model
        model.compile(
            "adam",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels of one round."""
        random = np.random.default_rng(0)
        count = self.steps * self.batch_size
        shape = (count, self.image_size, self.image_size, 3)
        images = random.random(shape, dtype="float32")
        return images, random.integers(0, NUM_CLASSES, size=count)


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


def step(model: keras.Model, kind: str, workload: Workload) -> Any:
    """The function to time: `"training"` or `"inference"` on one round's data.

    It ends in `fit` and `predict`, as a user's program does, and these wait
    for the device.
    """
    images, labels = workload.data()
    options = {"batch_size": workload.batch_size, "verbose": 0}
    if kind == "training":
        return functools.partial(
            model.fit, images, labels, shuffle=False, **options
        )
    return functools.partial(model.predict, images, **options)


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


def peak_memory(
    workload: Workload, kind: str, variants: Sequence[str] = VARIANTS
) -> dict[str, dict[str, float]]:
    """Peak memory of two steps in MB, each variant in a process of its own.

    On a GPU it is what the framework allocated there. On a CPU it is the
    resident memory beyond what the imports took. Empty where it cannot be
    told: on a GPU with TensorFlow.

    Args:
        workload: What to measure.
        kind: `"training"` or `"inference"`.
        variants: The first is the one that the others are divided by.

    Raises:
        RuntimeError: If such a process fails, say for want of memory.
    """
    megabytes = {}
    for variant in variants:
        run = subprocess.run(
            [
                sys.executable,
                *("-m", "keras_aib.zoo.benchmark"),
                *("--memory-of", variant, kind),
                *("--model", workload.model),
                *("--image-size", str(workload.image_size)),
                *("--batch-size", str(workload.batch_size)),
                *("--precision", workload.precision),
            ],
            env={
                **os.environ,
                "KERAS_BACKEND": keras.config.backend(),
                "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            },
            capture_output=True,
            text=True,
        )
        if run.returncode:
            raise RuntimeError(
                f"Measuring the memory of {kind} with {variant!r} at "
                f"{workload} failed with exit code {run.returncode}. Lower "
                "--batch-size or --image-size, or pass --no-memory. It said: "
                f"{run.stderr[-1000:]}"
            )
        last = run.stdout.split()[-1]
        if last == "unknown":
            return {}
        megabytes[variant] = int(last) / 1e6
    return {
        variant: {
            "peak_memory_mb": value,
            f"memory_ratio_to_{variants[0]}": value / megabytes[variants[0]],
        }
        for variant, value in megabytes.items()
    }


def _own_peak_memory(workload: Workload, variant: str, kind: str) -> str:
    before = _resident_bytes("VmRSS")
    step(workload.build(variant), kind, workload)()
    if keras.config.backend() == "torch":
        import torch

        if torch.cuda.is_available():
            return str(torch.cuda.max_memory_allocated())
    if keras.config.backend() == "jax":
        import jax

        if jax.devices()[0].platform != "cpu":
            return str(jax.devices()[0].memory_stats()["peak_bytes_in_use"])
    if keras.config.backend() == "tensorflow" and any(
        "gpu" in device.lower() for device in keras.distribution.list_devices()
    ):
        return "unknown"
    return str(_resident_bytes("VmHWM") - before)


def _resident_bytes(field: str) -> int:
    # Not getrusage: its maximum begins with that of the parent process.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(x for x in status.splitlines() if x.startswith(field))
    return 1024 * int(line.split()[1])


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
        return _rows("benchmark", setting, workload, figures)
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
        figures = peak_memory(size, kind, variants) if memory else {}
        for variant, timed in benchmark_steps(size, kind, variants).items():
            figures[variant] = {**timed, **figures.get(variant, {})}
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
            sys.stdout.write(_own_peak_memory(workload, *options.memory_of))
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
