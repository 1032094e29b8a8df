"""Classify a photo with LiteRT and draw where the model looked.

Command:  python examples/run_litert.py model.tflite photo.jpg
Needs:    pip install -r examples/requirements-litert.txt; no Keras, no
          TensorFlow, no GPU. The file, float or int8, with its JSON comes from
          keras_aib.export.export(model, "model.tflite", format="litert").
Makes:    overlay.png   the photo, the map over it, class and probability
Cost:     0.5 s and 85 MB of memory, int8 0.3 s and 62 MB, on 2 CPU cores with
          the zoo's aib_efficientnet_lite0.cifar10.
"""

from pathlib import Path

import numpy as np
import photo
from ai_edge_litert.interpreter import Interpreter


def main() -> None:
    options = photo.make_parser(__doc__).parse_args()
    photo.check_output(options)
    description = photo.read_description(options.model, "litert")
    picture, pixels = photo.read_photo(options.photo, description.image_size)
    outputs = run(options.model, pixels)
    explanation = photo.explain(
        options.model,
        description,
        outputs["probabilities"],
        outputs["attention"],
    )
    photo.show(options, picture, explanation)


def run(model: Path, pixels: np.ndarray) -> dict[str, np.ndarray]:
    try:
        interpreter = Interpreter(str(model))
        runner = interpreter.get_signature_runner("serving_default")
        details = runner.get_input_details()["images"]
    except Exception as error:
        raise photo.unloadable(model, "LiteRT", error) from None
    # float32, or uint8 for the int8 file: both take pixels 0..255 as they are.
    images = photo.make_batch(
        model, pixels, details["shape_signature"], details["dtype"]
    )
    return runner(images=images)


if __name__ == "__main__":
    with photo.errors_in_one_line():
        main()
