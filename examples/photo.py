"""What the deployment examples share: photos in, pictures and words out.

Needs:    numpy and pillow; no Keras, no other framework

An exported file takes raw RGB pixels and gives probabilities and a coarse
attention map. This module reads a photo to the size that the JSON beside the
file asks for, and lays the map over the photo in the photo's own size.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from overlay import draw
from PIL import Image
from PIL import ImageOps

SCRIPTS = {
    "litert": "run_litert.py",
    "onnx": "run_onnx.py",
    "tf_saved_model": "serve_saved_model.py",
}
# Naming them keeps bytes from the network away from Pillow's rarer decoders.
PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 100_000_000
# `read_photo` has its own limit; Pillow's would warn below it.
Image.MAX_IMAGE_PIXELS = None


class InputError(Exception):
    """Something the user can put right; one line says how."""


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the program with exit code 2, not with a traceback."""
    try:
        yield
    except InputError as error:
        line = " ".join(str(error).split())
        print(f"{Path(sys.argv[0]).name}: {line}", file=sys.stderr)
        raise SystemExit(2) from None


@dataclasses.dataclass(frozen=True)
class Description:
    """What the JSON beside an exported file says of it."""

    image_size: tuple[int, int]  # (height, width) in pixels
    class_names: list[str]
    # Of "softmax" one class is right, of "sigmoid" each label or not.
    activation: str = "softmax"


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What the model says of one photo."""

    class_names: list[str]
    probabilities: np.ndarray  # [classes]
    attention: np.ndarray  # [map height, map width], scores from 0 to 1
    activation: str = "softmax"

    @property
    def labels(self) -> list[tuple[str, float]]:
        """Of independent labels those that are likelier than not."""
        return [one for one in self.ranking if one[1] >= 0.5]

    @property
    def caption(self) -> str:
        """The class, or all labels that are likelier than not."""
        best = self.ranking[:1]
        if self.activation == "sigmoid":
            best = self.labels
        return ", ".join(f"{n}  {p:.1%}" for n, p in best) or "no label"

    @property
    def ranking(self) -> list[tuple[str, float]]:
        """Names and probabilities, the likeliest first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return [
            (self.class_names[index], float(self.probabilities[index]))
            for index in order
        ]

    def to_json(self) -> str:
        names = self.class_names
        # The number tells names apart that an old export has twice.
        keys = [
            name if names.count(name) == 1 else f"{name} ({index})"
            for index, name in enumerate(names)
        ]
        if self.activation == "sigmoid":
            answer: dict = {"labels": [name for name, _ in self.labels]}
        else:
            answer = {"class": self.ranking[0][0]}
        values = self.probabilities.tolist()
        answer["probabilities"] = dict(zip(keys, values, strict=True))
        answer["attention"] = self.attention.tolist()
        return json.dumps(answer)

    def to_text(self) -> str:
        shown = self.ranking[:3]
        if self.activation == "sigmoid":
            shown = self.labels
        lines = [f"{p:7.2%}  {name}" for name, p in shown] or ["no label"]
        return "\n".join([*lines, f"mean score {self.attention.mean():.3f}"])


def make_parser(
    documentation: str | None, photo_required: bool = True
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(documentation or "").partition("\n")[0]
    )
    parser.add_argument("model", type=Path, help="exported file or folder")
    parser.add_argument(
        "photo", type=Path, nargs=None if photo_required else "?"
    )
    parser.add_argument("--output", type=Path, default=Path("overlay.png"))
    parser.add_argument(
        "--json", action="store_true", help="print all numbers as JSON"
    )
    return parser


def read_description(model: Path, file_format: str) -> Description:
    """Read `model.tflite.json`, or `keras_aib.json` inside a folder.

    Raises:
        InputError: If model or JSON are missing, or of another kind.
    """
    if not model.exists():
        raise InputError(
            f"There is no {model}. Make it with keras_aib.export.export(model, "
            f"path, format={file_format!r})."
        )
    path = model / "keras_aib.json" if model.is_dir() else Path(f"{model}.json")
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError:
        raise InputError(
            f"{path} is missing: the export writes it, and it belongs to the "
            f"model. Copy it along with {model.name}, or export again."
        ) from None
    except ValueError as error:
        raise InputError(
            f"{path} is damaged ({error}). Copy or export it again."
        ) from None
    try:
        found = content["format"]
        _, height, width, channels = content["input"]["shape"]
        outputs = content["outputs"]
        num_classes = outputs["probabilities"]["shape"][-1]
        activation = content.get("activation") or "softmax"
        # One output that is right or not tells two classes apart.
        is_binary = activation == "sigmoid" and num_classes == 1
        names = content["class_names"] or [
            str(number) for number in range(2 if is_binary else num_classes)
        ]
        description = Description(
            (int(height), int(width)), list(names), activation
        )
        complete = channels == 3 and "attention" in outputs
    except (KeyError, TypeError, ValueError, IndexError):
        complete = False
    if not complete:
        raise InputError(
            f"{path} does not describe a model that takes RGB images of a "
            "fixed size and gives probabilities and attention. Export it again "
            'with image_size and outputs=("probabilities", "attention").'
        )
    if found != file_format:
        script = SCRIPTS.get(found)
        remedy = (
            f"Run {Path(__file__).with_name(script)} instead."
            if script
            else f"Export it with format={file_format!r}."
        )
        raise InputError(f"{model} is of the format {found}. {remedy}")
    return description


def unloadable(model: Path, runtime: str, error: Exception) -> InputError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return InputError(
        f"{runtime} cannot load {model}: it is damaged, or no export of "
        f"keras_aib. Copy or export it again. ({reason[:200]})"
    )


def make_batch(
    model: Path, pixels: np.ndarray, shape: tuple, dtype: np.dtype | type
) -> np.ndarray:
    """One photo as the file itself, not only its JSON, wants it.

    Args:
        model: Named in the error.
        pixels: uint8 [height, width, 3].
        shape: The file's input [batch, height, width, 3]; the batch is
            repeated to its size if it is a positive integer.
        dtype: The file's input.

    Raises:
        InputError: If the file wants images of another size.
    """
    batch_size, *image_shape = shape
    if tuple(image_shape) != pixels.shape:
        raise InputError(
            f"{model} takes images {image_shape}, the JSON beside it says "
            f"{list(pixels.shape)}: they do not belong together. Export again."
        )
    fixed = isinstance(batch_size, (int, np.integer)) and batch_size > 0
    return np.repeat(
        pixels[None].astype(dtype), batch_size if fixed else 1, axis=0
    )


def explain(
    model: Path,
    description: Description,
    probabilities: np.ndarray,
    attention: np.ndarray,
) -> Explanation:
    """Take the first photo of a batch of outputs.

    Raises:
        InputError: If the outputs are not those that the JSON announces.
    """
    names, activation = description.class_names, description.activation
    if activation == "sigmoid" and (
        (len(names), *probabilities.shape[1:]) == (2, 1)
    ):
        others = 1 - probabilities
        probabilities = np.concatenate([others, probabilities], axis=1)
        activation = "softmax"
    if probabilities.shape[1:] != (len(names),) or attention.ndim != 3:
        raise InputError(
            f"{model} gives probabilities {list(probabilities.shape)} and "
            f"attention {list(attention.shape)}, the JSON beside it names "
            f"{len(names)} classes: they do not belong together. Export again."
        )
    return Explanation(names, probabilities[0], attention[0], activation)


def read_photo(
    file: Path | IO[bytes], image_size: tuple[int, int]
) -> tuple[Image.Image, np.ndarray]:
    """Decode a photo, upright and RGB.

    Grey and 16-bit photos become 8-bit RGB, transparency is dropped and of an
    animation the first frame is taken, as `keras_aib.data` does for training.

    Args:
        file: Path or binary file.
        image_size: (height, width) in pixels that the model takes.

    Returns:
        The photo in its own size, and the whole of it resized for the model
        (bilinear with antialiasing): uint8 pixels [height, width, 3].

    Raises:
        InputError: If it is missing, damaged, no photo, or huge.
    """
    name = file if isinstance(file, Path) else "What was sent"
    height, width = image_size
    try:
        with Image.open(file, formats=PHOTO_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(
                    f"{name} has {image.width}x{image.height} pixels, more "
                    f"than {MAX_PIXELS / 1e6:.0f} million. Make it smaller."
                )
            upright = to_rgb(ImageOps.exif_transpose(image))
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"There is no photo {file}.") from None
    except Image.UnidentifiedImageError:
        raise InputError(
            f"{name} is no photo that can be read. Give a file of one of the "
            f"formats {', '.join(PHOTO_FORMATS)}."
        ) from None
    # Pillow's decoders raise many kinds of errors for damaged files.
    except Exception as error:
        raise InputError(
            f"{name} cannot be read ({error}). Repair it or give another photo."
        ) from None
    resized = upright.resize((width, height), Image.Resampling.BILINEAR)
    return upright, np.asarray(resized)


def to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # `convert` would clip 16-bit grey at 255 instead of scaling it.
        grey = np.clip(np.asarray(image, "int64") // 256, 0, 255)
        image = Image.fromarray(grey.astype("uint8"))
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a PNG whole or not at all.

    Raises:
        InputError: If it cannot be written; what stood there is still there.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(temporary, format="PNG")
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}). Choose "
            "another place with --output."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_output(options: argparse.Namespace) -> None:
    """Refuse an output that is no PNG, or the photo itself."""
    if options.output.suffix.lower() != ".png":
        raise InputError(
            f"The picture is a PNG, and --output {options.output} does not "
            "end in .png. Choose another name."
        )
    if options.output.resolve() == options.photo.resolve():
        raise InputError(
            f"--output {options.output} is the photo itself, which would be "
            "lost. Choose another name."
        )


def show(
    options: argparse.Namespace, photo: Image.Image, explanation: Explanation
) -> None:
    """Draw the picture, then print what the model says."""
    picture = draw(photo, explanation.attention, explanation.caption)
    save_picture(picture, options.output)
    if options.json:
        print(explanation.to_json())
    else:
        print(f"{explanation.to_text()}\n{options.output}")
