"""Exported files, read by their own runtimes.

This file needs NumPy and the runtime, no Keras: run as a program it is the
process that does nothing but read a file, see `file_process`.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SIGNATURE = "serving_default"
REQUEST_FILE = "request.json"
BATCHES_FILE = "batches.npz"
OUTPUTS_FILE = "outputs.npz"
RESULT_FILE = "result.json"


@dataclass(frozen=True)
class Runtime:
    """An exported file, loaded by its own runtime.

    Attributes:
        run: From pixels `[batch, height, width, channels]`, floats 0..255, to
            the outputs by name.
        operators: How often each operator occurs in the file.
        outputs: Names of the outputs in the order that the file has them.
    """

    run: Callable[[np.ndarray], dict[str, np.ndarray]]
    operators: dict[str, int]
    outputs: tuple[str, ...]


def load_saved_model(path: Path, num_threads: int = 1) -> Runtime:
    """A folder, by the TensorFlow that is running, on all its threads."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures[SIGNATURE]

    # The signature does not keep the model alive that owns its variables.
    def run(images: np.ndarray, owner: Any = loaded) -> dict[str, Any]:
        outputs = signature(images=tf.constant(images))
        return {name: value.numpy() for name, value in outputs.items()}

    graph = signature.graph.as_graph_def()
    nodes = [*graph.node]
    for function in graph.library.function:
        nodes += function.node_def
    operators = dict(Counter(node.op for node in nodes))
    return Runtime(run, operators, tuple(sorted(signature.structured_outputs)))


def load_litert(path: Path, num_threads: int = 1) -> Runtime:
    """A `.tflite` file, by LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=num_threads)
    # The only list of a file's operators that the runtime offers.
    operators = Counter(
        details["op_name"] for details in interpreter._get_ops_details()
    )
    foreign = sorted(name for name in operators if name.startswith("Flex"))
    if foreign:
        raise RuntimeError(
            f"the file needs TensorFlow's own operators {foreign}, which "
            "LiteRT does not have"
        )
    runner = interpreter.get_signature_runner(SIGNATURE)
    dtype = runner.get_input_details()["images"]["dtype"]
    names = {
        details["index"]: name
        for name, details in runner.get_output_details().items()
    }
    order = [details["index"] for details in interpreter.get_output_details()]

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        if dtype == np.uint8:
            images = np.rint(images)
        return runner(images=images.astype(dtype))

    return Runtime(run, dict(operators), tuple(names[index] for index in order))


def load_onnx(path: Path, num_threads: int = 1) -> Runtime:
    """An `.onnx` file, by ONNX Runtime."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    # Only errors: it warns about every constant that it does not need.
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        outputs = session.run(names, {"images": images})
        return dict(zip(names, outputs, strict=True))

    model = onnx.load(str(path), load_external_data=False)
    nodes = _all_nodes(model.graph)
    foreign = {node.domain for node in nodes} - {"", "ai.onnx"}
    if foreign:
        raise RuntimeError(
            f"the file needs operators of {sorted(foreign)}, which not "
            "every ONNX runtime has"
        )
    operators = dict(Counter(node.op_type for node in nodes))
    return Runtime(run, operators, tuple(names))


def _all_nodes(graph: Any) -> list[Any]:
    """The nodes of a graph and of the graphs inside them."""
    nodes = []
    for node in graph.node:
        nodes.append(node)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                nodes += _all_nodes(inner)
    return nodes


def load_openvino(path: Path, num_threads: int = 1) -> Runtime:
    """An `.xml` file with its `.bin`, by OpenVINO."""
    import openvino

    model = openvino.Core().read_model(path)
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": num_threads,
    }
    compiled = openvino.compile_model(model, "CPU", options)
    names = [output.get_any_name() for output in compiled.outputs]

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        outputs = compiled({"images": images})
        return {name: np.array(outputs[name]) for name in names}

    operators = Counter(node.get_type_name() for node in model.get_ops())
    return Runtime(run, dict(operators), tuple(names))


LOADERS = {
    "tf_saved_model": load_saved_model,
    "litert": load_litert,
    "onnx": load_onnx,
    "openvino": load_openvino,
}


def main(folder: Path) -> None:
    """Do what the request in `folder` asks for, and say how it ended."""
    request = json.loads((folder / REQUEST_FILE).read_text("utf-8"))
    try:
        runtime = LOADERS[request["format"]](Path(request["path"]))
        outputs: dict[str, Any] = {}
        with np.load(folder / BATCHES_FILE, allow_pickle=False) as stored:
            for index in range(len(stored.files)):
                for name, array in runtime.run(stored[str(index)]).items():
                    outputs[f"{index}/{name}"] = array
        np.savez(folder / OUTPUTS_FILE, **outputs)
    except Exception as error:
        result: dict[str, Any] = {"error": f"{type(error).__name__}: {error}"}
    else:
        result = {"operators": runtime.operators, "outputs": runtime.outputs}
    (folder / RESULT_FILE).write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(Path(sys.argv[1]))
