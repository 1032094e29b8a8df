"""Whether an exported file is the model that it was made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_aib.export.export_error import ExportError

Outputs = dict[str, np.ndarray]

# The largest difference that float32 may make. Quantized weights move every
# number, and scores by whole anchors, so that the mean difference counts.
LARGEST_DIFFERENCE = 1e-4
MEAN_DIFFERENCE = {"float16": 0.01, "dynamic_range": 0.05, "int8": 0.1}
TIE = 1e-3
NUM_GENERATED = 4


@dataclass(frozen=True)
class Parity:
    """How the outputs of a file compare with those of the model.

    Attributes:
        num_images: Images compared.
        num_ties: Images left out, because a score half way between two
            anchors fell to the other one.
        max_difference: Largest absolute difference of each output.
        mean_difference: Mean absolute difference of each output.
        agreement: Share of images put in the same class, or `None`.
    """

    num_images: int
    num_ties: int
    max_difference: dict[str, float]
    mean_difference: dict[str, float]
    agreement: float | None


def generated_images(shape: Sequence[int]) -> np.ndarray:
    """A few images to compare on where nobody gave any.

    Coarse patches of colour with noise on them, pixels 0..255: more like
    photographs, in what the first layers make of them, than noise alone.

    Args:
        shape: `(height, width, channels)`.
    """
    random = np.random.default_rng(0)
    height, width, channels = shape
    patches = random.uniform(0, 255, (NUM_GENERATED, 6, 6, channels))
    rows = np.arange(height) * 6 // height
    columns = np.arange(width) * 6 // width
    coarse = patches[:, rows][:, :, columns]
    noise = random.normal(0, 20, coarse.shape)
    return np.clip(np.rint(coarse + noise), 0, 255).astype("float32")


def compare(
    expected: Outputs,
    received: Outputs,
    anchors: np.ndarray | None = None,
    scores: np.ndarray | None = None,
) -> Parity:
    """Measure how far apart the outputs of model and file are.

    Args:
        expected: Outputs of the model.
        received: Outputs of the file.
        anchors: Anchor values, where `"attention"` is quantized.
        scores: The scores before that.

    Raises:
        ExportError: If an output is missing, has another shape or is NaN.
    """
    for name, array in expected.items():
        other = received.get(name)
        if other is None or other.shape != array.shape:
            shape = None if other is None else other.shape
            raise ExportError(
                f"output {name!r} of the file has shape {shape}, expected "
                f"{array.shape}"
            )
        if not np.isfinite(other).all():
            raise ExportError(f"output {name!r} of the file is not finite")
    count = len(next(iter(expected.values())))
    tied = np.zeros(count, bool)
    if anchors is not None and scores is not None and "attention" in expected:
        tied = _tied(
            expected["attention"], received["attention"], anchors, scores
        )
    if tied.all():
        raise ExportError(
            f"each of the {count} images has a score half way between two "
            "anchors, so that nothing can be compared. Pass other `images`"
        )
    differences = {
        name: np.abs(array[~tied] - received[name][~tied])
        for name, array in expected.items()
    }
    agreement = None
    for name in ("probabilities", "logits"):
        if name in expected:
            same = expected[name].argmax(-1) == received[name].argmax(-1)
            agreement = float(same[~tied].mean())
    return Parity(
        num_images=int(count - tied.sum()),
        num_ties=int(tied.sum()),
        max_difference={n: float(d.max()) for n, d in differences.items()},
        mean_difference={n: float(d.mean()) for n, d in differences.items()},
        agreement=agreement,
    )


def check_parity(
    parity: Parity, quantization: str | None, tolerance: float | None = None
) -> None:
    """Refuse a file that is too far from the model.

    Args:
        parity: What `compare` measured.
        quantization: What decides whether the largest difference or the mean
            one counts.
        tolerance: The largest that is accepted; `None` for what can be
            expected of the quantization.

    Raises:
        ExportError: If an output is farther away.
    """
    if quantization in MEAN_DIFFERENCE:
        kind, figures = "mean", parity.mean_difference
        accepted = MEAN_DIFFERENCE[quantization]
    else:
        kind, figures = "largest", parity.max_difference
        accepted = LARGEST_DIFFERENCE
    if tolerance is not None:
        accepted = tolerance
    for name, difference in figures.items():
        if not difference <= accepted:
            raise ExportError(
                f"{name!r} of the file and of the model differ: {kind} "
                f"difference {difference:.2g}, accepted is {accepted:.2g}"
            )


def _tied(
    expected: np.ndarray, received: np.ndarray, anchors: Any, scores: np.ndarray
) -> np.ndarray:
    """Images in which a tied score took the other anchor, and none else did.

    Two programs round differently in the last digit, and a score half way
    between two anchors may so fall to either; what follows then differs as
    well, without anything being wrong.
    """
    is_anchor = np.abs(received[..., None] - anchors).min(axis=-1) < TIE
    as_near = np.abs(scores - received) - np.abs(scores - expected) < TIE
    moved = np.abs(received - expected) > TIE
    places = tuple(range(1, moved.ndim))
    explained = (~moved | (is_anchor & as_near)).all(axis=places)
    return moved.any(axis=places) & explained
