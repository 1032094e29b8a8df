"""Seconds per image of exported files, and of Keras itself.

How many threads Keras runs on is settled when its backend starts, so every
number of threads has processes of its own, bound to as many cores. They keep
everything loaded and time it when they are asked to, one call at a time, so
that their parent can let all of them take turns. A SavedModel needs TensorFlow,
which is never loaded beside JAX or torch: it has processes of its own there.
"""

import contextlib
import functools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import IO
from typing import Any
from typing import TextIO
from typing import cast

import keras
import numpy as np

from keras_aib.export import ExportError
from keras_aib.export import ExportResult
from keras_aib.export import export
from keras_aib.export.conversion import FORMATS
from keras_aib.export.parity import generated_images
from keras_aib.zoo.benchmarks.workload import Workload
from keras_aib.zoo.recipes.results import device_name

REFERENCE = "keras_predict"
# Format and quantization of the files that are compared with it.
FILES: tuple[tuple[str, str | None], ...] = (
    ("tf_saved_model", None),
    ("litert", None),
    ("litert", "float16"),
    ("litert", "int8"),
    ("onnx", None),
    ("onnx", "int8"),
    ("openvino", None),
)
THREADS = (1, 2)
SAVED_MODEL = "tf_saved_model"
# Frameworks that find a GPU use it; the files run on the processor.
ONLY_CPU = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}


@dataclass(frozen=True)
class Candidate:
    """Something whose latency is measured.

    Attributes:
        format: A key of `FORMATS`; `None` for Keras, from a `.keras` file.
        path: The file.
        backend: Keras backend of the process that it is measured in.
        metrics: What is known about the file: its size and its parity.
    """

    format: str | None
    path: str
    backend: str
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass
class LatencyTasks:
    """What takes turns, for `interleave`.

    Attributes:
        candidates: What is compared, by name.
        threads: Numbers of threads.
        tasks: Functions by `variant_name`; each measures one turn.
        device: What all of it runs on, in words.
        elapsed: Seconds per image of all turns so far, added up.
    """

    candidates: dict[str, Candidate]
    threads: tuple[int, ...]
    tasks: dict[str, Callable[[], None]] = field(default_factory=dict)
    device: str = ""
    elapsed: float = 0.0

    def clock(self) -> float:
        """Time passes only in what was measured, not on the way to it."""
        return self.elapsed

    def add(self, name: str, measure: Callable[[], float]) -> None:
        """Let something take turns; `measure` returns seconds per image."""

        def task() -> None:
            self.elapsed += measure()

        self.tasks[name] = task


def variant_name(name: str, num_threads: int) -> str:
    """What a candidate is called in the results: `"onnx int8, 1 thread"`."""
    return f"{name}, {num_threads} thread{'s' if num_threads > 1 else ''}"


@contextlib.contextmanager
def latency_tasks(
    model: keras.Model,
    workload: Workload,
    files: Sequence[tuple[str, str | None]] = FILES,
    threads: Sequence[int] = THREADS,
) -> Iterator[LatencyTasks]:
    """Export a model, and have everything ready to be timed.

    What cannot be exported here, or has not enough cores, is left out, with a
    warning that says so. Files and processes are gone at the end.

    Args:
        model: A built model.
        workload: Batch size, and how many batches make a turn.
        files: Format and quantization of the files.
        threads: Numbers of threads.

    Raises:
        OSError: If this system cannot bind a process to cores.
        RuntimeError: If a process fails; says how.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise OSError(
            "Latency is measured in processes that are bound to cores, and "
            f"{sys.platform} cannot do that. Run it on Linux."
        )
    num_cores = len(os.sched_getaffinity(0))
    for count in threads:
        if count > num_cores:
            _leave_out(f"{count} threads", f"there are {num_cores} cores")
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.ExitStack() as processes,
    ):
        tasks = LatencyTasks(
            write_candidates(model, Path(folder), files),
            tuple(count for count in threads if count <= num_cores),
        )
        for count in tasks.threads:
            asks = {}
            for backend, request in _requests(tasks, model, workload, count):
                asks[backend], tasks.device = processes.enter_context(
                    _process(request, backend)
                )
            for name, candidate in tasks.candidates.items():
                tasks.add(
                    variant_name(name, count),
                    functools.partial(asks[candidate.backend], name),
                )
        yield tasks


def write_candidates(
    model: keras.Model,
    folder: Path,
    files: Sequence[tuple[str, str | None]] = FILES,
) -> dict[str, Candidate]:
    """Write the model in every format, `REFERENCE` first.

    Latency does not depend on the values in an image or in a weight, so int8
    is calibrated with made-up images and may differ from the model at will.

    Args:
        model: A built model.
        folder: Where to write.
        files: Format and quantization.
    """
    backend = keras.config.backend()
    path = folder / "model.keras"
    model.save(path)
    size = {"size_bytes": float(path.stat().st_size)}
    candidates = {REFERENCE: Candidate(None, str(path), backend, size)}
    images = generated_images(model.input_shape[1:])
    for file_format, quantization in files:
        name = f"{file_format} {quantization or 'float32'}"
        path = folder / name.replace(" ", "_")
        try:
            result = export(
                model,
                path.with_name(f"{path.name}{FORMATS[file_format].suffix}"),
                file_format,
                quantization,
                representative_data=images,
                tolerance=math.inf if quantization == "int8" else None,
            )
        except (ExportError, ImportError) as error:
            _leave_out(name, str(error))
            continue
        own = "tensorflow" if file_format == SAVED_MODEL else backend
        candidates[name] = Candidate(
            file_format, str(result.path), own, _metrics(result)
        )
    return candidates


def _metrics(result: ExportResult) -> dict[str, float]:
    metrics = {"size_bytes": float(result.size)}
    for output, largest in result.max_difference.items():
        metrics[f"max_difference_{output}"] = largest
        metrics[f"mean_difference_{output}"] = result.mean_difference[output]
    if result.agreement is not None:
        metrics["agreement"] = result.agreement
    return metrics


def _leave_out(name: str, reason: str) -> None:
    warnings.warn(f"{name}: left out, {reason}", stacklevel=3)


def _requests(
    tasks: LatencyTasks, model: keras.Model, workload: Workload, count: int
) -> list[tuple[str, dict[str, Any]]]:
    """What each process of so many threads is to load, by its backend."""
    candidates = tasks.candidates
    backends = dict.fromkeys(one.backend for one in candidates.values())
    return [
        (
            backend,
            {
                "num_threads": count,
                "batch_size": workload.batch_size,
                "steps": workload.steps,
                "shape": model.input_shape[1:],
                "files": {
                    name: (one.format, one.path)
                    for name, one in candidates.items()
                    if one.backend == backend
                },
            },
        )
        for backend in backends
    ]


@contextlib.contextmanager
def _process(
    request: dict[str, Any], backend: str
) -> Iterator[tuple[Callable[[str], float], str]]:
    """A process that serves a request.

    Yields:
        A function from a name to the seconds per image of a turn; and what the
        process runs on, in words.
    """
    with (
        tempfile.TemporaryFile() as errors,
        _start(request, backend, errors) as process,
    ):
        questions = cast(IO[bytes], process.stdin)
        answers = cast(IO[bytes], process.stdout)

        def read() -> str:
            line = answers.readline().decode()
            if not line:
                code = process.wait()
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()
                raise RuntimeError(
                    f"The process that measures {list(request['files'])} with "
                    f"num_threads={request['num_threads']} ended with exit "
                    f"code {code}. It said: {said[-1000:]}"
                )
            return line.strip()

        def ask(name: str) -> float:
            # If it has ended, reading says why.
            with contextlib.suppress(BrokenPipeError):
                questions.write(f"{name}\n".encode())
            return float(read())

        try:
            yield ask, read()
        finally:
            process.kill()


def _start(
    request: dict[str, Any], backend: str, errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a process that is bound to the first so many cores."""
    count = request["num_threads"]
    environment = {
        **os.environ,
        **ONLY_CPU,
        "KERAS_BACKEND": backend,
        "OMP_NUM_THREADS": str(count),
    }
    cores = os.sched_getaffinity(0)
    # It inherits this; its frameworks count their cores when they start.
    os.sched_setaffinity(0, sorted(cores)[:count])
    try:
        return subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(request)],
            # Unbuffered, so that nothing is left to write when it is closed.
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        )
    finally:
        os.sched_setaffinity(0, cores)


def serve(
    request: dict[str, Any], questions: Iterable[str], answers: TextIO
) -> None:
    """Load what a request lists, and time what the questions name.

    Args:
        request: Threads, batch size, shape of an image, calls per turn, and
            format and path by name.
        questions: Names, one a line.
        answers: First what this process runs on, then seconds per image.
    """
    shape = request["shape"]
    images = np.resize(generated_images(shape), (request["batch_size"], *shape))
    runs = {
        name: _load(file_format, path, request["num_threads"])
        for name, (file_format, path) in request["files"].items()
    }
    answers.write(f"{device_name()}\n")
    answers.flush()
    for question in questions:
        seconds = turn(runs[question.strip()], images, request["steps"])
        answers.write(f"{seconds!r}\n")
        answers.flush()


def _load(
    file_format: str | None, path: str, num_threads: int
) -> Callable[[np.ndarray], Any]:
    if file_format is None:
        model = keras.saving.load_model(path, compile=False)
        return model.predict_on_batch
    return FORMATS[file_format].load(Path(path), num_threads).run


def turn(
    run: Callable[[np.ndarray], Any],
    images: np.ndarray,
    steps: int,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Seconds per image of some calls, after one that is not timed.

    In that one the caches are filled again, and the threads of whoever had the
    turn before go to sleep.

    Args:
        run: Takes images, and waits for the outputs.
        images: A batch.
        steps: Timed calls.
        clock: Gives the time in seconds.
    """
    run(images)
    start = clock()
    for _ in range(steps):
        run(images)
    return (clock() - start) / (steps * len(images))


def main() -> None:
    """The other process: serve the request in its argument."""
    # What libraries print must not be taken for an answer.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        serve(json.loads(sys.argv[1]), sys.stdin, answers)


if __name__ == "__main__":
    main()
