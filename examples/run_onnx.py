"""Classify a photo with ONNX Runtime and draw where the model looked.

Command:  python examples/run_onnx.py model.onnx photo.jpg
Needs:    pip install -r examples/requirements-onnx.txt; no Keras, no GPU. The
          file with its JSON comes from
          keras_aib.export.export(model, "model.onnx", format="onnx").
Makes:    overlay.png   the photo, the map over it, class and probability
Cost:     0.4 s and 115 MB of memory on 2 CPU cores with the zoo's
          aib_efficientnet_lite0.cifar10.
"""

from pathlib import Path

import numpy as np
import onnxruntime
import photo

DTYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}


def main() -> None:
    options = photo.make_parser(__doc__).parse_args()
    photo.check_output(options)
    description = photo.read_description(options.model, "onnx")
    picture, pixels = photo.read_photo(options.photo, description.image_size)
    probabilities, attention = run(options.model, pixels)
    explanation = photo.explain(
        options.model, description, probabilities, attention
    )
    photo.show(options, picture, explanation)


def run(model: Path, pixels: np.ndarray) -> list[np.ndarray]:
    try:
        session = onnxruntime.InferenceSession(
            str(model), providers=["CPUExecutionProvider"]
        )
        inputs = {value.name: value for value in session.get_inputs()}
        shape, dtype = inputs["images"].shape, DTYPES[inputs["images"].type]
    except Exception as error:
        raise photo.unloadable(model, "ONNX Runtime", error) from None
    images = photo.make_batch(model, pixels, shape, dtype)
    return session.run(["probabilities", "attention"], {"images": images})


if __name__ == "__main__":
    with photo.errors_in_one_line():
        main()
