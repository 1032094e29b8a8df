"""A page of photos, where a model looked in them, and what it saw."""

import base64
import html
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_aib.files import written_whole

STYLE = """
body { font: 15px system-ui, sans-serif; margin: 2em; color: #222 }
table { border-collapse: collapse }
th, td { padding: .4em 1em; text-align: left; border-bottom: 1px solid #ddd }
td.number { text-align: right; font-variant-numeric: tabular-nums }
img { display: block; max-width: 240px; max-height: 240px }
"""


@dataclass(frozen=True)
class Explanation:
    """One row of the page.

    Attributes:
        name: Name of the image file.
        thumbnail: Pixels of the photo, uint8 `[H, W, 3]`.
        overlay: Pixels of the photo with its map over it, likewise.
        predicted_class: Name of the most probable class.
        probability: Its probability.
        note: Text below the overlay.
    """

    name: str
    thumbnail: np.ndarray
    overlay: np.ndarray
    predicted_class: str
    probability: float
    note: str = ""


class ExplanationIndex:
    """Collect explanations, then write them as one self-contained HTML file.

    The pictures are part of the file, so that it can be sent as it is.

    Args:
        title: Headline.
        map_name: Headline of the overlays.
        size: Longest side of the pictures on the page, in pixels.

    Raises:
        ImportError: If Pillow is missing.

    Example:

    ```python
    import numpy as np
    from keras_aib.explanation_index import Explanation
    from keras_aib.explanation_index import ExplanationIndex

    index = ExplanationIndex("Where the model looks")
    photo = np.zeros((64, 64, 3), "uint8")
    index.add(Explanation("cat.jpg", photo, photo, "cat", 0.9))
    index.write("index.html", unreadable=["torn.jpg: truncated"])
    ```
    """

    def __init__(
        self, title: str, map_name: str = "Attention", size: int = 240
    ) -> None:
        self._title = title
        self._map_name = map_name
        self._size = size
        self._rows: list[tuple[str, float, str, str]] = []

    def add(self, explanation: Explanation) -> None:
        """Add a row."""
        pictures = "".join(
            f"<td><img src='{self._embed(pixels)}' loading='lazy' alt=''>"
            f"{html.escape(note)}</td>"
            for pixels, note in (
                (explanation.thumbnail, ""),
                (explanation.overlay, explanation.note),
            )
        )
        row = (
            f"<tr>{pictures}<td>{html.escape(explanation.name)}</td>"
            f"<td>{html.escape(explanation.predicted_class)}</td>"
            f"<td class='number'>{explanation.probability:.1%}</td></tr>"
        )
        self._rows.append(
            (
                explanation.predicted_class,
                -explanation.probability,
                explanation.name,
                row,
            )
        )

    def write(
        self, path: str | os.PathLike, unreadable: Sequence[str] = ()
    ) -> None:
        """Write the page, sorted by class and then by falling probability.

        Args:
            path: The HTML file.
            unreadable: Images that could not be read, and why.
        """
        title = html.escape(self._title)
        head = "".join(
            f"<th>{html.escape(name)}</th>"
            for name in (
                *("Photo", self._map_name),
                *("File", "Class", "Probability"),
            )
        )
        rows = "\n".join(row for *_, row in sorted(self._rows))
        missing = ""
        if unreadable:
            items = "".join(f"<li>{html.escape(x)}</li>" for x in unreadable)
            missing = f"<h2>Not readable</h2>\n<ul>{items}</ul>\n"
        with written_whole(path) as temporary:
            Path(temporary).write_text(
                "<!DOCTYPE html>\n<html lang='en'>\n<head>\n"
                "<meta charset='utf-8'>\n"
                f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n"
                f"<body>\n<h1>{title}</h1>\n"
                f"<table>\n<thead><tr>{head}</tr></thead>\n"
                f"<tbody>\n{rows}\n</tbody>\n</table>\n"
                f"{missing}</body>\n</html>\n",
                encoding="utf-8",
                # A file name may hold bytes that are no text.
                errors="replace",
            )

    def _embed(self, pixels: np.ndarray) -> str:
        from PIL import Image

        image = Image.fromarray(pixels)
        image.thumbnail((self._size, self._size))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=85)
        encoded = base64.b64encode(buffer.getvalue()).decode()
        return f"data:image/jpeg;base64,{encoded}"
