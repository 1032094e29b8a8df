"""What the deployment examples draw: the map over the photo.

Needs:    numpy and pillow; no Keras, no other framework
"""

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont
from PIL import ImageOps

# From where the model does not look to where it does.
COLORS = np.array([(50, 0, 90), (190, 30, 110), (250, 110, 40), (255, 225, 90)])
OPACITY = 0.55


def draw(
    photo: Image.Image, attention: np.ndarray, caption: str
) -> Image.Image:
    """Lay the map over the photo, with a caption and a legend below it.

    The photo turns grey, so that every colour is the map's: bright and opaque
    where the model looks, faint where it does not. The scale is fixed from 0
    to 1, so that the pictures of two photos can be compared.

    Returns:
        The photo in its own size at the top, the caption under it. Where the
        photo is narrower than its caption, the picture is wider.
    """
    size = max(14, photo.width // 26)
    font = ImageFont.load_default(size)
    gap = size // 2
    bar = color(
        Image.new("RGB", (6 * size, size), (128, 128, 128)),
        np.linspace(0, 1, 64)[None],
    )
    words = ("score 0", f"1   mean {attention.mean():.2f}")
    lengths = [round(font.getlength(word)) for word in words]
    legend_width = sum(lengths) + bar.width + 2 * gap
    width = max(
        photo.width,
        2 * gap + max(round(font.getlength(caption)), legend_width),
    )
    first, second = photo.height + gap, photo.height + gap + round(1.4 * size)
    picture = Image.new("RGB", (width, second + size + 2 * gap), "white")
    picture.paste(color(photo, attention))
    pen = ImageDraw.Draw(picture)
    pen.text((gap, first), caption, "black", font)
    pen.text((gap, second), words[0], "black", font)
    left = 2 * gap + lengths[0]
    picture.paste(bar, (left, second + size // 8))
    pen.text((left + bar.width + gap, second), words[1], "black", font)
    return picture


def color(photo: Image.Image, scores: np.ndarray) -> Image.Image:
    """Colour a photo by a map of scores from 0 to 1 of any resolution."""
    cells = Image.fromarray(np.clip(scores, 0, 1).astype("float32"))
    upsampled = cells.resize(photo.size, Image.Resampling.BILINEAR)
    levels = np.rint(255 * np.asarray(upsampled)).astype("uint8")
    ramp = np.linspace(0, 1, 256)
    stops = np.linspace(0, 1, len(COLORS))
    table = np.stack([np.interp(ramp, stops, c) for c in COLORS.T], axis=-1)
    opacities = 255 * OPACITY * (0.4 + 0.6 * ramp)
    return Image.composite(
        Image.fromarray(np.rint(table).astype("uint8")[levels]),
        ImageOps.grayscale(photo).convert("RGB"),
        Image.fromarray(np.rint(opacities).astype("uint8")[levels]),
    )
