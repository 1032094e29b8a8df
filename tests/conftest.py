"""What every test shares: the backend under test and fixed seeds."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
# One thread a worker: the models are tiny, there are as many workers as cores,
# and threads that fight for a core wait four times as long as they compute.
# The environment also reaches the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
# TensorFlow turns it on by itself on some processors only, and without it has
# no convolution of channels-first images on a CPU.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Many small graphs: compiling them costs more than running them. Processes with
# JAX are started from every backend.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_multi_thread_eigen=false",
)
# Otherwise each of the many processes compiles its imports anew: importing
# TensorFlow takes 15 s then, not 5.
os.environ["PYTHONDONTWRITEBYTECODE"] = ""
# What was compiled once is read again, in another process and another run.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR",
    str(Path(__file__).parents[1] / ".venvs" / "jax-compilations"),
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import keras
import pytest

# Few tests and much time: begun last, they would leave a worker without work.
HEAVY_FILES = (
    "test_export",
    "test_backbones",
    "test_exports",
    "test_quickstart",
    "test_benchmark_latency",
    "test_training_run",
    "test_golden",
    "test_readme",
    "test_from_scratch",
    "test_distribution",
    "test_recipes",
    "test_pretrained_weights",
    "test_saving",
    "test_zoo",
)


def pytest_collection_modifyitems(items):
    """Begin with the heavy files; the rest stays in its order."""
    place = {name: index for index, name in enumerate(HEAVY_FILES)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(autouse=True)
def reproducible():
    """Seed everything and leave no global state behind."""
    keras.utils.set_random_seed(0)
    policy = keras.config.dtype_policy()
    data_format = keras.config.image_data_format()
    yield
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format(data_format)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Folder with `images/` and `preset/` for tiny runs."""
    from training_runs import make_material

    keras.utils.set_random_seed(1)
    return make_material(tmp_path_factory.mktemp("material"))
