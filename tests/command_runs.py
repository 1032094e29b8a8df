"""Run `keras-aib` in this process."""

from click.testing import CliRunner

from keras_aib.cli.command_line import command_line


def run(*arguments, code=0):
    arguments = [str(argument) for argument in arguments]
    result = CliRunner().invoke(command_line, arguments, obj=arguments)
    if code == 0 and result.exception is not None:
        raise result.exception
    assert result.exit_code == code, result.output
    return result
