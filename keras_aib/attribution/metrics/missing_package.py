"""The message where a package of the extra `attribution` is not installed."""


def missing_package(name: str) -> ImportError:
    """Return an error that says how to install `name`."""
    return ImportError(
        f"{name} is needed for this metric. Install it with "
        "`pip install keras-aib[attribution]`."
    )
