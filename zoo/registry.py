"""The names the zoo knows."""

import difflib
import fnmatch
from collections.abc import Iterable

from keras_aib.zoo import efficientnet_lite
from keras_aib.zoo.pretrained_config import PretrainedConfig

_ROWS = {row.name: row for row in efficientnet_lite.PRETRAINED}


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models whose weights the zoo ships, sorted.

    Args:
        pattern: Shell-style wildcards, for example `"efficientnet*"`.

    Returns:
        The matching names; an empty list if there are none.

    Example:

    ```python
    from keras_aib import zoo

    print(zoo.list_models("*.imagenet"))
    ```
    """
    return sorted(fnmatch.filter(_ROWS, pattern))


def info(name: str) -> PretrainedConfig:
    """Everything the zoo knows about one of its models.

    Args:
        name: One of `list_models()`.

    Returns:
        The model's `PretrainedConfig`.

    Raises:
        ValueError: If the zoo has no such model; the message lists near names.

    Example:

    ```python
    from keras_aib import zoo

    print(zoo.info("efficientnet_lite0.imagenet").image_size)
    ```
    """
    if name not in _ROWS:
        raise unknown_name(name)
    return _ROWS[name]


def unknown_name(name: str, others: Iterable[str] = ()) -> ValueError:
    """The error for a name that is neither in the zoo nor in `others`."""
    near = difflib.get_close_matches(name, [*_ROWS, *others], n=5, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return ValueError(
        f"Unknown model: name={name!r}.{hint} The zoo ships {list_models()}."
    )
