"""All commands by name. A command's module is imported when the command is used."""

import importlib

import click

from impasto._version import __version__

COMMANDS = {
    "stylize": "impasto._cli._stylize",
    "connect": "impasto._cli._connect",
    "serve": "impasto._cli._serve",
    "guests": "impasto._cli._serve",
    "jobs": "impasto._cli._jobs",
    "info": "impasto._cli._info",
    "styles": "impasto._cli._info",
    "demo": "impasto._cli._demo",
    "gimp": "impasto._cli._gimp",
    "helper": "impasto._cli._gimp",
}


class LazyGroup(click.Group):
    """Imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of the same name in its module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="impasto")
def cli() -> None:
    """Paint a picture in the manner of another, and watch it happen.

    Without a configured server, a private one is started on this machine.
    """
