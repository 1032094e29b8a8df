"""Peak memory of a training or inference step."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import keras

from keras_aib.zoo.benchmarks.workload import Workload
from keras_aib.zoo.benchmarks.workload import step
from keras_aib.zoo.recipes.variants import VARIANTS


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
                *("-m", "keras_aib.zoo.benchmarks.speed"),
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


def own_peak_memory(workload: Workload, kind: str, variant: str) -> str:
    """Peak memory of this process in bytes, after a step; or `"unknown"`."""
    before = resident_bytes("VmRSS")
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
    return str(resident_bytes("VmHWM") - before)


def resident_bytes(field: str) -> int:
    """A field of this process's memory, such as `"VmHWM"`, the most so far."""
    # Not getrusage: its maximum begins with that of the parent process.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(x for x in status.splitlines() if x.startswith(field))
    return 1024 * int(line.split()[1])
