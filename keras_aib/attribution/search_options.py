"""How a bottleneck is searched for."""

import math
from dataclasses import dataclass

from keras_aib.utils.checks import check_positive_integer


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What IBA and CoIBA have in common.

    Attributes:
        beta: Price of information: weight of the mean over elements of the
            information in nats.
        steps: Steps of Adam.
        learning_rate: Of Adam.
        copies: Draws of the noise per step.
        smoothing_sigma: Of the blur of lambda, in places of the feature map;
            `None` for no blur.
        per_channel: Whether each channel has a lambda of its own.
        seed: Of the noise.
        output_kind: What the model gives, where it does not tell.
        num_prefix_tokens: Tokens before the patches, where the model does
            not tell.
    """

    beta: float
    steps: int
    learning_rate: float
    copies: int
    smoothing_sigma: float | None
    per_channel: bool
    seed: int
    output_kind: str | None
    num_prefix_tokens: int | None

    def check(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ValueError: If a value is out of range.
        """
        check_positive_integer("steps", self.steps)
        check_positive_integer("copies", self.copies)
        if not (self.beta >= 0 and math.isfinite(self.beta)):
            raise ValueError(
                f"`beta` must be 0 or more. Received: beta={self.beta!r}."
            )
        if not self.learning_rate > 0:
            raise ValueError(
                "`learning_rate` must be above 0. Received: "
                f"learning_rate={self.learning_rate!r}."
            )
        if self.smoothing_sigma is not None and not self.smoothing_sigma > 0:
            raise ValueError(
                "`smoothing_sigma` must be above 0, or None for no blur. "
                f"Received: smoothing_sigma={self.smoothing_sigma!r}."
            )
