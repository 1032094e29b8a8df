"""A page of photos, where a model looked in them, and what it saw."""

import base64
import html
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_aib.utils.files import written_whole

STYLE = """
body { font: 15px system-ui, sans-serif; margin: 2em; color: #222 }
table { border-collapse: collapse }
th, td { padding: .4em 1em; text-align: left; border-bottom: 1px solid #ddd }
td.number { text-align: right; font-variant-numeric: tabular-nums }
img { display: block; max-width: 240px; max-height: 240px }
"""

# Tells a page of these from a user's own.
START = (
    "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
    "<meta name='generator' content='keras-aib explain'>\n"
)


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
        others: Further labels and their probabilities, where a model gives
            several labels of an image.
    """

    name: str
    thumbnail: np.ndarray
    overlay: np.ndarray
    predicted_class: str
    probability: float
    note: str = ""
    others: Sequence[tuple[str, float]] = ()


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
    from keras_aib.visualization.page import Explanation
    from keras_aib.visualization.page import ExplanationIndex

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
        said = [
            (explanation.predicted_class, explanation.probability),
            *explanation.others,
        ]
        names = "<br>".join(html.escape(name) for name, _ in said)
        probabilities = "<br>".join(f"{x:.1%}" for _, x in said)
        row = (
            f"<tr>{pictures}<td>{html.escape(explanation.name)}</td>"
            f"<td>{names}</td><td class='number'>{probabilities}</td></tr>"
        )
        self._rows.append(
            (
                explanation.predicted_class,
                -explanation.probability,
                explanation.name,
                row,
            )
        )

    @staticmethod
    def may_write(path: str | os.PathLike) -> bool:
        """Whether nothing is there, or a page of these to be replaced."""
        if not os.path.lexists(path):
            return True
        path = Path(path)
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(START)) == START.encode()

    def write(
        self,
        path: str | os.PathLike,
        unreadable: Sequence[str] = (),
        warned: Sequence[str] = (),
    ) -> None:
        """Write the page, sorted by class and then by falling probability.

        Args:
            path: The HTML file.
            unreadable: Images that could not be read, and why.
            warned: What to know before the maps are believed.
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
        lists = {
            headline: (
                f"<h2>{headline}</h2>\n<ul>"
                + "".join(f"<li>{html.escape(x)}</li>" for x in lines)
                + "</ul>\n"
            )
            if lines
            else ""
            for headline, lines in (
                ("Warnings", warned),
                ("Not readable", unreadable),
            )
        }
        with written_whole(path) as temporary:
            Path(temporary).write_text(
                f"{START}"
                f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n"
                f"<body>\n<h1>{title}</h1>\n{lists['Warnings']}"
                f"<table>\n<thead><tr>{head}</tr></thead>\n"
                f"<tbody>\n{rows}\n</tbody>\n</table>\n"
                f"{lists['Not readable']}</body>\n</html>\n",
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
