"""`impasto serve`: hands over to the server's own command line."""

import click

from impasto._local import missing_server_modules


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    short_help="Run a server that paints.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> None:
    """Run a server that paints."""
    if missing := missing_server_modules():
        raise click.ClickException(
            f"the server can't run here because {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not installed: pip install 'impasto[server]'"
        )
    # The only place where the client touches the server's code, and only when it is asked to.
    from impasto_server.__main__ import serve as server_command

    server_command.main(args=list(arguments), prog_name="impasto serve")
