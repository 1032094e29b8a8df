"""Options that every recipe has."""

import argparse
from pathlib import Path

from keras_aib.zoo.recipes.results import RESULTS
from keras_aib.zoo.recipes.variants import VARIANTS

TRAINED_MODELS = Path("runs") / "fine_tuning"


def recipe_parser(name: str, documentation: str) -> argparse.ArgumentParser:
    """A parser with seeds, variants and where things are written."""
    parser = argparse.ArgumentParser(
        description=documentation,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS)
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--output", type=Path, default=TRAINED_MODELS)
    parser.set_defaults(command=f"python -m keras_aib.zoo.recipes.{name}")
    return parser
