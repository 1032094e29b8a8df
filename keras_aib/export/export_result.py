"""What an export ended in."""

from dataclasses import dataclass
from dataclasses import field
from pathlib import Path


@dataclass(frozen=True)
class ExportResult:
    """An exported file, and how it compares with the model.

    Attributes:
        path: The file, or folder.
        metadata_path: The JSON that says how to use it.
        format: Its format.
        quantization: What it was quantized to, or `None`.
        route: What wrote it: the running backend, or TensorFlow in a process
            of its own.
        size: Bytes, everything that belongs to the file counted.
        num_images: Images that file and model were compared on.
        max_difference: Largest absolute difference of each output.
        mean_difference: Mean absolute difference of each output.
        agreement: Share of the images that file and model put in the same
            class, or of the labels on which they agree; `None` where classes
            are not among the outputs.
        total_variation: Half the sum of the differences of an image's
            probabilities, where labels are independent the largest difference:
            the mean over the images.
        num_ties: Images left out of the comparison, because a score half way
            between two anchors fell to the other one.
        num_calibrated: Images that int8 was calibrated with; the others were
            compared on.
        compute_dtype: What the model computes in. The file does in float32.
        operators: How often each operator occurs in the file.

    Example:

    ```python
    from pathlib import Path
    from keras_aib.export import ExportResult

    result = ExportResult(
        path=Path("model.onnx"),
        metadata_path=Path("model.onnx.json"),
        format="onnx",
        quantization=None,
        route="torch",
        size=16_400_000,
        num_images=8,
        max_difference={"probabilities": 5e-7},
        mean_difference={"probabilities": 1e-7},
    )
    print(result)
    ```
    """

    path: Path
    metadata_path: Path
    format: str
    quantization: str | None
    route: str
    size: int
    num_images: int
    max_difference: dict[str, float]
    mean_difference: dict[str, float]
    agreement: float | None = None
    total_variation: float | None = None
    num_ties: int = 0
    num_calibrated: int = 0
    compute_dtype: str = "float32"
    operators: dict[str, int] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        kind = self.format
        if self.quantization is not None:
            kind += f", {self.quantization}"
        unseen = ""
        if self.num_calibrated:
            unseen = (
                f" that calibration, with {self.num_calibrated} others, did "
                "not see"
            )
        lines = [
            f"{self.path}: {kind}, {self.size / 1e6:.1f} MB, by {self.route}",
            f"compared with the model on {self.num_images} images{unseen}:",
        ]
        lines += [
            f"  {name}: largest difference {largest:.1e}, "
            f"mean {self.mean_difference[name]:.1e}"
            for name, largest in self.max_difference.items()
        ]
        if self.agreement is not None:
            lines.append(f"  same class for {self.agreement:.1%} of them")
        if self.total_variation is not None:
            lines.append(f"  total variation {self.total_variation:.1e}")
        if self.num_ties:
            lines.append(f"  {self.num_ties} more left out for tied scores")
        if self.compute_dtype != "float32":
            lines.append(
                f"  the model computes in {self.compute_dtype}, the file in "
                "float32: hence the difference"
            )
        lines.append(
            f"{sum(self.operators.values())} operators of "
            f"{len(self.operators)} kinds"
        )
        return "\n".join(lines)
