"""`impasto serve` and `impasto guests`: hand over to the server's own command line."""

import click

from impasto._local import missing_server_modules


def handed_over(command: click.Command) -> click.Command:
    """The same command with everything behind its name passed on, help too."""
    command.context_settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    command.params = [click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)]
    return command


@handed_over
@click.command(short_help="Run a server that paints.")
def serve(arguments: tuple[str, ...]) -> None:
    """Run a server that paints."""
    _check_installed()
    # The only place where the client touches the server's code, and only when it is asked to.
    from impasto_server.__main__ import serve as server_command

    server_command.main(args=list(arguments), prog_name="impasto serve")


@handed_over
@click.command(short_help="Invite people to a server of yours.")
def guests(arguments: tuple[str, ...]) -> None:
    """Invite people to a server of yours."""
    _check_installed()
    from impasto_server.guest_commands import guests as server_command

    server_command.main(args=list(arguments), prog_name="impasto guests")


def _check_installed() -> None:
    if missing := missing_server_modules():
        raise click.ClickException(
            f"the server can't run here because {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not installed: pip install 'impasto[server]'"
        )
