"""Packages that the core does without: import one, or say how to get it."""

import importlib
import importlib.metadata
import importlib.util
import re
from types import ModuleType

DISTRIBUTION = "keras-aib"
# Where the package to install is not called as the module to import.
PACKAGES = {
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}


def require(module: str, purpose: str, extra: str = "") -> ModuleType:
    """Import a module of a package that the core does not depend on.

    Args:
        module: Name of the module, such as `"scipy.io"`.
        purpose: What needs it: the start of the message.
        extra: The extra of `pyproject.toml` that `purpose` needs as a whole.

    Returns:
        The module.

    Raises:
        ImportError: If it cannot be imported; says what to install.

    Example:

    ```python
    from keras_aib.utils.requirements import require

    image = require("PIL.Image", "Drawing a map", "plot")
    print(image.new("RGB", (2, 2)).size)
    ```
    """
    try:
        importlib.import_module(module.partition(".")[0])
        return importlib.import_module(module)
    except ImportError as error:
        raise missing_package(module, purpose, extra, error) from error


def is_installed(module: str) -> bool:
    """Whether a package is there, without importing it."""
    try:
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    except ImportError:
        return False


def missing_package(
    module: str, purpose: str, extra: str = "", error: Exception | None = None
) -> ImportError:
    """The error for a package that cannot be imported.

    Args:
        module: Name of the module.
        purpose: What needs it.
        extra: The extra that `purpose` needs as a whole.
        error: What importing it gave.
    """
    reason = f" ({error})" if error is not None else ""
    return ImportError(
        f"{purpose} needs {_package(module)}. Install it with "
        f"`{install_command(module, extra)}`.{reason}",
        name=module,
    )


def install_command(module: str, extra: str = "") -> str:
    """What to type to get a module, and what else is missing of its extra.

    It names the packages themselves: `keras-aib[...]` can be installed from a
    copy of the sources only.

    Args:
        module: Name of the module.
        extra: The extra of `pyproject.toml` that is needed as a whole.
    """
    package = _package(module)
    others = [
        name
        for name in _packages_of(extra)
        if name != package and not _is_there(name)
    ]
    return " ".join(("pip install", package, *others))


def _package(module: str) -> str:
    name = module.partition(".")[0]
    return PACKAGES.get(name, name.replace("_", "-"))


def _packages_of(extra: str) -> list[str]:
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        # A copy of the sources that is on the path, not installed.
        return []
    names = []
    for line in lines:
        requirement, _, marker = line.partition(";")
        if re.search(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]", marker):
            (name,) = re.findall(r"^[\w.-]+", requirement.strip())
            names.append(name.lower().replace("_", "-"))
    return names


def _is_there(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
