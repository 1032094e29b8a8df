"""`keras-aib list` and `keras-aib info`."""

import dataclasses

import click


@click.command("list")
@click.argument("pattern", default="*")
def list_models(pattern: str) -> None:
    """Names of the zoo's models.

    PATTERN takes wildcards: keras-aib list "*.imagenet"
    """
    from keras_aib.zoo import registry

    names = registry.list_models(pattern)
    if not names:
        raise click.ClickException(
            f"No model's name matches {pattern!r}. `keras-aib list` shows all."
        )
    for name in names:
        click.echo(name)


@click.command()
@click.argument("name")
def info(name: str) -> None:
    """What the zoo knows about the model NAME."""
    from keras_aib.zoo import registry

    row = registry.info(name)
    names = [field.name for field in dataclasses.fields(row) if field.repr]
    for name in (*names, "results"):
        value = getattr(row, name, None)
        if value in (None, "", {}):
            continue
        if isinstance(value, dict):
            value = ", ".join(
                f"{key}={_short(item)}" for key, item in value.items()
            )
        elif isinstance(value, tuple):
            value = " x ".join(map(str, value))
        elif isinstance(value, int):
            value = f"{value:,}"
        click.echo(f"{name.replace('_', ' '):18}{value}")


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value
