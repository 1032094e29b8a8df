"""Whether an exported file is the model that it was made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_aib.export.export_error import ExportError
from keras_aib.models.output_head import OutputHead

Outputs = dict[str, np.ndarray]

# The largest difference that float32 may make, of outputs up to 1; of larger
# ones, such as logits, in proportion.
LARGEST_DIFFERENCE = 1e-4
# Half precision rounds by 2^-8 or 2^-11 at every layer, as the model does and
# the file does not; 32 times that is a net's depth with room.
ROUNDING = {"bfloat16": 32 * 2.0**-8, "float16": 32 * 2.0**-11}
# Probabilities nearer than this are no decision that a file could get wrong.
MARGIN = 0.1
TIE = 1e-3
NUM_GENERATED = 4


@dataclass(frozen=True)
class Limits:
    """How far a file that computes otherwise than the model may be from it.

    Attributes:
        total_variation: Mean over the images.
        contradicted: Share of the images put in another class than the
            model's, and not in one that is as likely by 0.1; of the label for
            which it is largest, where a model has several labels.
        attention: Mean difference of the attention's outputs.
    """

    total_variation: float
    contradicted: float
    attention: float


QUANTIZED = {
    "float16": Limits(0.02, 0.02, 0.01),
    "dynamic_range": Limits(0.1, 0.05, 0.05),
    "int8": Limits(0.15, 0.1, 0.1),
}


@dataclass(frozen=True)
class Parity:
    """How the outputs of a file compare with those of the model.

    Attributes:
        num_images: Images compared.
        num_ties: Images left out, because a score half way between two
            anchors fell to the other one.
        max_difference: Largest absolute difference of each output.
        mean_difference: Mean absolute difference of each output.
        magnitude: Largest absolute value of each output of the model.
        agreement: Share of images put in the same class, or of labels that
            are on the same side of 0.5; `None` without classes.
        total_variation: Half the sum of the differences of the probabilities,
            of several labels the largest difference; mean over the images.
        contradicted: As in `Limits`.
    """

    num_images: int
    num_ties: int
    max_difference: dict[str, float]
    mean_difference: dict[str, float]
    magnitude: dict[str, float]
    agreement: float | None = None
    total_variation: float | None = None
    contradicted: float | None = None


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
    head: OutputHead | None = None,
    anchors: np.ndarray | None = None,
    scores: np.ndarray | None = None,
) -> Parity:
    """Measure how far apart the outputs of model and file are.

    Args:
        expected: Outputs of the model.
        received: Outputs of the file.
        head: What the model ends in, where probabilities or logits are
            compared.
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
    judged: tuple[Any, ...] = (None, None, None)
    for name in ("probabilities", "logits"):
        if name in expected and head is not None:
            judged = _decisions(
                _classes(name, expected[name][~tied], head),
                _classes(name, received[name][~tied], head),
                head.is_multi_label and not head.is_binary,
            )
            break
    return Parity(
        int(count - tied.sum()),
        int(tied.sum()),
        {name: float(x.max()) for name, x in differences.items()},
        {name: float(x.mean()) for name, x in differences.items()},
        {name: float(np.abs(x).max()) for name, x in expected.items()},
        *judged,
    )


def _classes(name: str, outputs: np.ndarray, head: OutputHead) -> np.ndarray:
    if name == "logits":
        return head.class_probabilities(outputs)
    if head.is_binary:
        return np.concatenate([1 - outputs, outputs], axis=1)
    return outputs


def _decisions(
    expected: np.ndarray, received: np.ndarray, of_labels: bool
) -> tuple[float, float, float]:
    """Agreement, total variation and contradictions."""
    moved = np.abs(expected - received)
    if of_labels:
        same = (expected >= 0.5) == (received >= 0.5)
        sure = np.abs(expected - 0.5) > MARGIN / 2
        contradicted = float((~same & sure).mean(axis=0).max())
        return float(same.mean()), float(moved.max(1).mean()), contradicted
    rows = np.arange(len(expected))
    chosen = received.argmax(-1)
    given_up = expected.max(-1) - expected[rows, chosen]
    return (
        float((chosen == expected.argmax(-1)).mean()),
        float(moved.sum(-1).mean() / 2),
        float((given_up > MARGIN).mean()),
    )


def find_limits(
    quantization: str | None,
    compute_dtype: str = "float32",
    tolerance: float | None = None,
) -> Limits | None:
    """What is accepted, or `None` where file and model compute alike.

    Args:
        quantization: Of the file.
        compute_dtype: What the model computes in; the file does in float32.
        tolerance: What is accepted in place of it.
    """
    if quantization is None and compute_dtype not in ROUNDING:
        return None
    if tolerance is not None:
        return Limits(tolerance, tolerance, tolerance)
    limits = QUANTIZED.get(quantization or "", Limits(0, 0, 0))
    rounding = ROUNDING.get(compute_dtype, 0.0)
    return Limits(
        limits.total_variation + rounding,
        limits.contradicted + rounding,
        limits.attention + rounding,
    )


def check_parity(
    parity: Parity, limits: Limits | None, tolerance: float | None = None
) -> None:
    """Refuse a file that is too far from the model.

    Args:
        parity: What `compare` measured.
        limits: What `find_limits` says.
        tolerance: The largest difference that is accepted without limits.

    Raises:
        ExportError: If an output is farther away.
    """
    figures: list[tuple[str, float, float]] = []
    if limits is None:
        accepted = LARGEST_DIFFERENCE if tolerance is None else tolerance
        for name, difference in parity.max_difference.items():
            scale = 1.0
            if tolerance is None:
                scale = max(1.0, parity.magnitude[name])
            what = f"{name!r}: largest difference"
            figures.append((what, difference, accepted * scale))
    else:
        for name, difference in parity.mean_difference.items():
            if name.startswith("attention"):
                what = f"{name!r}: mean difference"
                figures.append((what, difference, limits.attention))
        if parity.total_variation is not None:
            what = "probabilities: mean total variation"
            limit = limits.total_variation
            figures.append((what, parity.total_variation, limit))
        if parity.contradicted is not None:
            what = "classes: share of the images clearly in another one"
            figures.append((what, parity.contradicted, limits.contradicted))
    # A comparison with NaN is never true.
    wrong = [
        f"{what} {value:.2g}, accepted is {limit:.2g}"
        for what, value, limit in figures
        if not value <= limit
    ]
    if wrong:
        raise ExportError(
            f"the file and the model differ on {parity.num_images} images: "
            + "; ".join(wrong)
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
