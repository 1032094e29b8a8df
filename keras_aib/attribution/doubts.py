"""What speaks against a map, in words."""

import numpy as np

from keras_aib.attribution.attribution_result import AttributionResult

# Share of what the model says above chance that has to be kept.
SMALLEST_KEPT_SHARE = 0.5
# A decision nearer to chance is none that could be lost.
SMALLEST_DECISION = 0.1
FEWEST_BITS = 0.05
LARGEST_OUTSIDE_SHARE = 0.05
LARGEST_OUTSIDE_BITS = 0.5
# In widths of the range that the statistics saw.
LARGEST_EXCESS = 1.0
SMALLEST_SHARE = 0.01
MOST_NAMED = 10

# Of the images, and of those of the statistics, if these tell.
PixelRanges = tuple[tuple[float, float], tuple[float, float] | None]


def doubts_of(
    result: AttributionResult,
    stale: list[str],
    chance: float | None,
    outside_bits: np.ndarray,
    ranges: PixelRanges,
) -> list[str]:
    """Sentences on images whose map says nothing, none where all is well.

    Args:
        result: The maps.
        stale: Layers whose statistics come from other weights.
        chance: Probability of a class of which nothing is known; `None` if
            the loss was a function.
        outside_bits: Share of each image's bits that is of features outside
            the statistics.
        ranges: Smallest and largest pixel.
    """
    found = []
    if stale:
        found.append(
            f"The statistics of {stale} come from other weights than the model "
            "has now: it was trained further, or they are of another model. "
            "Bits and maps are wrong. Estimate them again: "
            f"`keras_aib.attribution.estimate_statistics(model, {stale}, "
            "images)`."
        )
    if chance is not None:
        before, kept = result.probability, result.kept_probability
        least = chance + SMALLEST_KEPT_SHARE * (before - chance)
        lost = (before > chance + SMALLEST_DECISION) & (kept < least)
        if lost.any():
            found.append(
                f"The decision is lost in {_named(lost)}: with what passes, "
                "the class's probability falls from "
                f"{before[lost].mean():.2f} to {kept[lost].mean():.2f} on "
                "average, so these maps do not show what it rests on. Lower "
                f"`beta` (it is {result.options['beta']:g}), or take more "
                "`steps`."
            )
    empty = result.total_bits < FEWEST_BITS
    if empty.any():
        found.append(
            f"The map is empty in {_named(empty)}: it holds less than "
            f"{FEWEST_BITS} bits, and says no more than that the decision can "
            "do without the places. Lower `beta`, or choose another layer."
        )
    outside = (result.outside_statistics > LARGEST_OUTSIDE_SHARE) | (
        outside_bits > LARGEST_OUTSIDE_BITS
    )
    if outside.any() or are_out_of_range(ranges):
        outside = outside if outside.any() else np.ones_like(outside)
        found.append(
            f"Features are unlike those of the statistics in {_named(outside)}"
            f": {result.outside_statistics[outside].mean():.1%} of them lie "
            "where the statistics saw none, and make up "
            f"{outside_bits[outside].mean():.0%} of the bits, which have no "
            f"meaning there. {in_words(ranges)} Estimate the statistics on "
            "images like these."
        )
    return found


def are_out_of_range(ranges: PixelRanges) -> bool:
    """Whether pixels are on another scale than those of the statistics."""
    (low, high), expected = ranges
    if expected is None:
        return False
    least, most = expected
    excess = LARGEST_EXCESS * (most - least)
    too_large = low < least - excess or high > most + excess
    too_small = 0 < high - low < SMALLEST_SHARE * (most - least)
    return too_large or too_small


def in_words(ranges: PixelRanges) -> str:
    """A sentence on the pixels received, and on those that are expected."""
    (low, high), expected = ranges
    text = f"The pixels received lie in {low:g} to {high:g}"
    if expected is None:
        return f"{text}: look whether the model takes these."
    least, most = expected
    text = f"{text}, those of the statistics in {least:g} to {most:g}"
    if are_out_of_range(ranges):
        return f"{text}: scale them as the model was trained."
    return f"{text}."


def _named(images: np.ndarray) -> str:
    numbers = np.flatnonzero(images)
    shown = ", ".join(map(str, numbers[:MOST_NAMED]))
    shown += ", ..." * (len(numbers) > MOST_NAMED)
    return f"{len(numbers)} of {len(images)} images (index {shown})"
