"""The tables of the zoo's pages are what the results say."""

from pathlib import Path

import pytest

from keras_aib.zoo.recipes import results
from keras_aib.zoo.recipes import tables

pytestmark = pytest.mark.once


def rows():
    common = dict.fromkeys(results.COLUMNS, "")
    return [
        {
            **common,
            "experiment": "fine_tuning",
            "variant": variant,
            "setting": "s",
            "seed": seed,
            "metric": "accuracy",
            "value": value,
            "seconds": "10",
            "device": "2 CPU cores",
        }
        for variant, seed, value in (
            ("plain", "0", "0.80"),
            ("plain", "1", "0.82"),
            ("aib", "0", "0.9"),
        )
    ]


def test_a_cell_is_the_mean_and_deviation_over_seeds():
    table = tables.results_table(
        rows(), "fine_tuning", tables.TRAINED, "variant"
    )
    assert "| plain head | 81.0 ± 1.4 |" in table
    assert "| AIB, continuous | 90.0 |" in table
    assert "2 CPU cores" in table


def test_what_did_not_run_is_said():
    table = tables.results_table(rows(), "other", tables.TRAINED, "variant")
    assert table == "Not run yet."


def test_only_what_is_between_the_markers_is_replaced():
    text = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n"
    expected = "a\n<!-- x:begin -->\nn\\1ew\n<!-- x:end -->\nb\n"
    pages = {Path("x.md"): text, Path("other.md"): "other"}
    filled = tables.fill(pages, {"x": "n\\1ew"})
    assert filled == {Path("x.md"): expected, Path("other.md"): "other"}
    with pytest.raises(ValueError, match="markers"):
        tables.fill(pages, {"y": "new"})


def test_the_pages_hold_the_tables_of_the_results():
    pages = tables.read_pages()
    filled = tables.fill(pages, tables.all_tables(results.read_rows()))
    assert filled == pages, "run `python -m keras_aib.zoo.recipes.tables`"
