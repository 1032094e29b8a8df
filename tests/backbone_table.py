"""Write the table of backbones in the guide from measured outcomes.

KERAS_AIB_RESULTS=results pytest tests/test_backbones.py  # each backend
python tests/backbone_table.py results
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from backbone import Backbone
from backbones import CATALOGUE

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "torch"}
BEGIN = "<!-- backbones:begin -->"
END = "<!-- backbones:end -->"
PAGE = Path(__file__).parents[1] / "docs" / "guides" / "backbones.md"
LAST_STEPS = {"save", "reload"}


def read(folder: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Outcome by library, backbone and backend; the latest run counts."""
    outcomes: dict[tuple[str, str, str], dict[str, Any]] = {}
    paths = sorted(folder.glob("backbones-*.jsonl"))
    if not paths:
        sys.exit(
            f"No backbones-*.jsonl in {str(folder)!r}. Write them with "
            f"`KERAS_AIB_RESULTS={folder} pytest tests/test_backbones.py` on "
            "each backend."
        )
    for path in paths:
        for line in path.read_text().splitlines():
            record = json.loads(line)
            key = record["library"], record["backbone"], record["backend"]
            steps = set(record["steps"])
            # The reload is recorded by itself, after the other steps.
            if steps == {"reload"} and key in outcomes:
                steps |= outcomes[key]["steps"]
            outcomes[key] = {"steps": steps, "error": record["error"]}
    return outcomes


def cell(outcome: dict[str, Any] | None) -> str:
    """A tick, or why there is none."""
    if outcome is None:
        return "not run"
    if outcome["error"] is not None:
        return outcome["error"].replace("|", "\\|")
    missing = sorted(LAST_STEPS - outcome["steps"])
    return f"not run: {', '.join(missing)}" if missing else "✓"


def table(outcomes: dict[tuple[str, str, str], dict[str, Any]]) -> str:
    """The table in Markdown, in the order of the catalogue."""
    header = ["backbone", "library", "attention at", *BACKENDS.values()]
    rows = [header, ["---"] * len(header)]
    notes: list[str] = []
    for row in CATALOGUE:
        cells = [
            cell(outcomes.get((row.library, row.name, backend)))
            for backend in BACKENDS
        ]
        rows.append([_named(row, notes), row.library, _place(row), *cells])
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    lines += ["", *(f"{i}. {note}" for i, note in enumerate(notes, 1))]
    return "\n".join(lines).rstrip()


def _named(row: Backbone, notes: list[str]) -> str:
    if not row.note:
        return row.name
    if row.note not in notes:
        notes.append(row.note)
    return f"{row.name} ({notes.index(row.note) + 1})"


def _place(row: Backbone) -> str:
    return f"`{row.attention_layer}`" if row.attention_layer else "output"


def replace(text: str) -> None:
    """Put `text` between the markers of the page."""
    readme = PAGE.read_text() if PAGE.is_file() else ""
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        sys.exit(
            f"{PAGE} lacks the markers of the table. Put the lines "
            f"'{BEGIN}' and '{END}' where it belongs and run this again."
        )
    temporary = PAGE.with_suffix(".md.tmp")
    temporary.write_text(f"{head}{begin}\n{text}\n{end}{tail}")
    os.replace(temporary, PAGE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of the outcomes")
    text = table(read(parser.parse_args().results))
    sys.stdout.write(text + "\n")
    replace(text)


if __name__ == "__main__":
    main()
