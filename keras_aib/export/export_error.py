"""The error of an export that did not end in a good file."""


class ExportError(RuntimeError):
    """A model that cannot be converted, or a file that is not the model.

    The file was deleted before this was raised.

    Example:

    ```python
    from keras_aib.export import ExportError

    try:
        raise ExportError("the file and the model differ")
    except RuntimeError as error:
        print(error)
    ```
    """
