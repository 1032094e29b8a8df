"""`keras-aib benchmark`."""

import click


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def benchmark(arguments: tuple[str, ...]) -> None:
    """Speed and memory beside the plain backbone; --help shows the options."""
    from keras_aib.zoo.benchmarks.speed import main

    main(list(arguments))
