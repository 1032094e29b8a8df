"""What attribution costs, batched and image by image: time and memory.

Command:  KERAS_BACKEND=torch python -m keras_aib.zoo.benchmarks.attribution
Needs:    keras-aib[hub] for the transformer.
Cost:     567 explanations of an image for each model, by default, and twelve
          processes more. On 2 busy CPU cores at most 20 minutes on TensorFlow
          and 45 on JAX. Leave torch a CPU of its own: where its two threads
          wait for other programs it takes ten times as long as with one.
Result:   rows "attribution_speed" of zoo/results/results.csv, table in
          zoo/results/attribution_speed.md.
          What has its rows is skipped; each batch size is a run of its own.

CoIBA explains the small vision transformer and IBA Lite0, with random weights
and noise like that of few images: the time depends on neither. One call for all
images, and one that takes the same images one by one, take turns in one
process; a ratio is the median over the rounds of the quotient within a round.
The first call, which compiles, is timed apart. Peak memory is that of a process
of its own, per batch size.
"""

import argparse
import functools
import os
import shlex
import subprocess
import sys
import time
import types
import warnings
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib import attribution
from keras_aib.zoo.architectures import vit
from keras_aib.zoo.benchmarks.memory import own_peak_memory
from keras_aib.zoo.benchmarks.speed import compare
from keras_aib.zoo.benchmarks.speed import interleave
from keras_aib.zoo.benchmarks.workload import Workload
from keras_aib.zoo.benchmarks.workload import step
from keras_aib.zoo.pretrained import assemble_classifier
from keras_aib.zoo.pretrained import build_head
from keras_aib.zoo.pretrained_config import PretrainedConfig
from keras_aib.zoo.recipes.results import RESULTS
from keras_aib.zoo.recipes.results import append_run
from keras_aib.zoo.recipes.results import device_name
from keras_aib.zoo.recipes.results import is_done
from keras_aib.zoo.registry import BACKBONES

MODULE = "keras_aib.zoo.benchmarks.attribution"
BATCH_SIZES = (1, 2, 4, 8, 16, 32)

# A framework that takes the whole device leaves none to the other processes.
GROWING = {
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
}


@dataclass(frozen=True)
class Case:
    """A model and how it is explained.

    Attributes:
        build: From the height and width in pixels to a classifier.
        method: `"coiba"` or `"iba"`.
        layers: Layers to restrict; IBA takes one.
        image_size: Height and width in pixels, unless asked otherwise.
    """

    build: Callable[[int], keras.Model]
    method: str
    layers: tuple[str, ...]
    image_size: int


def _untrained(config: PretrainedConfig, image_size: int) -> keras.Model:
    """A classifier of the zoo with random weights."""
    backbone = config.build_backbone(
        (image_size, image_size, 3), config.architecture
    )
    head = build_head(backbone.output.shape[-1], int(config.num_classes or 0))
    return assemble_classifier(config, backbone, head)


CASES = {
    "vit_tiny32.cifar10": Case(
        build=functools.partial(_untrained, vit.PRETRAINED[0]),
        method="coiba",
        layers=tuple(
            f"vit_encoder/block_{index}/layer_norm_1" for index in range(2, 6)
        ),
        image_size=32,
    ),
    "efficientnet_lite0.imagenet": Case(
        build=functools.partial(
            _untrained, BACKBONES["efficientnet_lite0.imagenet"]
        ),
        method="iba",
        layers=("P4",),
        image_size=96,
    ),
}


@dataclass(frozen=True)
class AttributionWorkload(Workload):
    """What is measured; `model` is a key of `CASES`.

    Attributes:
        search_steps: Steps of the search for the bottleneck.
        copies: Draws of the noise per step.
    """

    search_steps: int = 10
    copies: int = 10

    def build(self, variant: str) -> Any:
        """An explanation in the place of a model, whose `predict` explains.

        Args:
            variant: `"coiba"` or `"iba"`.
        """
        case = CASES[self.model]
        model = case.build(self.image_size)
        # No more at once than explaining one image takes, so that the peak of
        # memory is not here.
        shape = (max(2, self.copies), self.image_size, self.image_size, 3)
        images = np.random.default_rng(1).random(shape, dtype="float32")
        options: dict[str, Any] = {
            "statistics": attribution.estimate_statistics(
                model, case.layers, images, verbose=0
            ),
            "steps": self.search_steps,
            "copies": self.copies,
        }
        explain: Callable[..., Any]
        with warnings.catch_warnings():
            # Few images spoil the maps, not the time that they take.
            warnings.filterwarnings("ignore", "The statistics are of")
            if variant == "coiba":
                explain = attribution.CoIBA(model, case.layers, **options)
            else:
                explain = attribution.IBA(model, case.layers[0], **options)
        return types.SimpleNamespace(predict=explain)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing in the results; can be stopped anywhere."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = parse(arguments)
    os.environ.update({**GROWING, **os.environ})
    for name in options.models:
        for batch_size in options.batch_sizes:
            workload = workload_of(name, batch_size, options)
            if options.only_memory:
                sys.stdout.write(own_peak(workload))
                continue
            run = describe(workload)
            if is_done(run, options.results):
                continue
            # First, while this process holds little of the device's memory.
            peak = {} if options.no_memory else peak_memory(workload)
            figures = {**measure(workload), **peak}
            run["image_size"] = workload.image_size
            run["command"] = shlex.join(["python", "-m", MODULE, *arguments])
            append_run(run, figures, options.results)
            sys.stdout.write(f"{name}, {run['setting']}: {figures}\n")
            sys.stdout.flush()
            keras.utils.clear_session()


def workload_of(
    name: str, batch_size: int, options: argparse.Namespace
) -> AttributionWorkload:
    """One model at one batch size, as the options say."""
    return AttributionWorkload(
        model=name,
        image_size=options.image_size or CASES[name].image_size,
        batch_size=batch_size,
        rounds=options.rounds,
        steps=1,
        search_steps=options.search_steps,
        copies=options.copies,
    )


def describe(workload: AttributionWorkload) -> dict[str, Any]:
    """The columns of a run that tell it from others."""
    where = f"{keras.config.backend()} on {device_name()}"
    return {
        "experiment": "attribution_speed",
        "model": workload.model,
        "variant": CASES[workload.model].method,
        "setting": f"{where}, batch {workload.batch_size}",
        "seed": 0,
    }


def measure(
    workload: AttributionWorkload,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Figures of one batch, at once and image by image.

    Args:
        workload: What to measure.
        clock: As for `interleave`.

    Returns:
        Seconds of the first call, which compiles; median seconds per image of
        the others, batched and in the loop; and how often faster the batch is
        than the loop: median, least and most over the rounds.
    """
    explanation = workload.build(CASES[workload.model].method)
    batched = step(explanation, "inference", workload)
    loop = functools.partial(batched, batch_size=1)
    start = clock()
    batched()
    first_call = clock() - start
    tasks = {"batched": batched, "loop": loop}
    seconds = interleave(tasks, workload.rounds, clock)
    timed = compare(seconds, "batched", workload.batch_size)
    return {
        "first_call_seconds": first_call,
        **{
            f"{name}_seconds_per_image": own["seconds"] / workload.batch_size
            for name, own in timed.items()
        },
        **{
            f"times_faster{which}": timed["loop"][f"ratio_to_batched{which}"]
            for which in ("", "_least", "_most")
        },
    }


def peak_memory(workload: AttributionWorkload) -> dict[str, float]:
    """Peak memory in MB of explaining one batch, in a process of its own.

    On a GPU it is what the framework allocated there. On a CPU it is the
    resident memory beyond what the imports took, that of compiling included.

    Raises:
        RuntimeError: If the process fails, say for want of memory.
    """
    command = [
        *(sys.executable, "-m", MODULE),
        *("--only-memory", "--models", workload.model),
        *("--batch-sizes", str(workload.batch_size)),
        *("--image-size", str(workload.image_size)),
        *("--search-steps", str(workload.search_steps)),
        *("--copies", str(workload.copies)),
    ]
    environment = {**os.environ, "KERAS_BACKEND": keras.config.backend()}
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True
    )
    if run.returncode:
        raise RuntimeError(
            f"Measuring the memory of {workload.model!r} at {workload} failed "
            f"with exit code {run.returncode}. Leave its batch size out of "
            "--batch-sizes, or pass --no-memory. It said: "
            f"{run.stderr[-1000:]}"
        )
    return {"peak_memory_mb": int(run.stdout.split()[-1]) / 1e6}


def own_peak(workload: AttributionWorkload) -> str:
    """Peak memory of this process in bytes, after explaining one batch."""
    method = CASES[workload.model].method
    peak = own_peak_memory(workload, "inference", method)
    if peak != "unknown":
        return peak
    import tensorflow

    return str(tensorflow.config.experimental.get_memory_info("GPU:0")["peak"])


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--models", nargs="+", choices=CASES, default=list(CASES))
    add("--batch-sizes", nargs="+", type=_positive, default=BATCH_SIZES)
    add("--image-size", type=_positive, help="pixels; each model has its own")
    add("--rounds", type=_positive, default=3)
    add("--search-steps", type=_positive, default=10)
    add("--copies", type=_positive, default=10)
    add("--no-memory", action="store_true", help="do not measure memory")
    add("--results", type=Path, default=RESULTS, help="CSV file to append to")
    add("--only-memory", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(
            f"must be an integer of 1 or more, not {text!r}"
        )
    return int(text)


if __name__ == "__main__":
    main()
