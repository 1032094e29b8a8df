"""Pages that are made when the documentation is built.

The API, a page a room, from the docstrings; and the zoo's own pages, which
stand beside what they describe.
"""

import ast
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File
from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[1]
ROOMS = {
    "layers": "Layers",
    "models": "Models",
    "ops": "Ops",
    "callbacks": "Callbacks",
    "optimizers": "Optimizers",
    "metrics": "Metrics",
    "data": "Data",
    "attribution": "Attribution",
    "attribution.metrics": "Attribution metrics",
    "visualization": "Visualization",
    "export": "Export",
    "zoo": "Zoo",
}
ZOO = ("*.md", "results/*", "weights/*.md", "weights/*/*.md", "weights/*/*.png")
# What the zoo's pages point to besides.
LINKED = ("paper_recipes.py", "recipes/from_scratch.py", "weights/LICENSE")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them to what is in `docs/`."""
    for room, title in ROOMS.items():
        page = f"api/{room}.md"
        content = _api_page(room, title)
        files.append(File.generated(config, page, content=content))
    zoo = ROOT / "zoo"
    paths = {path for pattern in (*ZOO, *LINKED) for path in zoo.glob(pattern)}
    for path in sorted(paths):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def _api_page(room: str, title: str) -> str:
    """What a room exports, in its own words."""
    folder = ROOT.joinpath(
        *([] if room == "zoo" else ["keras_aib"]), *room.split(".")
    )
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    # By where they are defined: some modules are named like their function.
    names = sorted(
        (alias.name, f"{node.module}.{alias.name}")
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        # A room inside is a page of its own.
        if alias.asname == alias.name and node.module != f"keras_aib.{room}"
    )
    entries = "\n".join(f"::: {path}\n" for _, path in names)
    return f"# {title}\n\n{ast.get_docstring(tree)}\n\n{entries}"
