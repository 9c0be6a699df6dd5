"""`impasto gimp` puts the plug-in into GIMP and checks the chain; `impasto helper` is what GIMP then starts."""

from pathlib import Path

import click

from impasto._cli._options import server_option


@click.command(hidden=True)
def helper() -> None:
    """Serve a host program over stdin and stdout (docs/helper-protocol.md)."""
    from impasto._helper import serve_host

    serve_host()


@click.group()
def gimp() -> None:
    """Put Impasto into GIMP 3, take it out, find out what is wrong."""


profile_option = click.option(
    "--profile",
    "profiles",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="A GIMP profile, such as ~/.config/GIMP/3.0. Default: all that are found.",
)


@gimp.command()
@profile_option
def install(profiles: tuple[Path, ...]) -> None:
    """Copy the plug-in into GIMP's profiles."""
    from impasto._helper._profiles import chosen_profiles, install_into

    for profile in chosen_profiles(profiles):
        target = install_into(profile)
        click.echo(f"GIMP {profile.version}: the plug-in is in {target}")
        if profile.note:
            click.echo(f"  {profile.note}")
    click.echo("Start GIMP again: Filters → Artistic → Neural Style…")


@gimp.command()
@profile_option
def uninstall(profiles: tuple[Path, ...]) -> None:
    """Take the plug-in out of GIMP's profiles."""
    from impasto._helper._profiles import chosen_profiles, uninstall_from

    for profile in chosen_profiles(profiles):
        removed = uninstall_from(profile)
        click.echo(f"GIMP {profile.version}: {'removed' if removed else 'nothing was in'} {profile.plug_in}")


@gimp.command()
@profile_option
@server_option
def doctor(profiles: tuple[Path, ...], server: str | None) -> int:
    """Check every link from GIMP to the picture; says what to do about the first that fails."""
    from impasto._helper._doctor import links

    for link in links(profiles, server):
        click.echo(f"{'ok' if link.is_fine else 'FAILS':<6} {link.name}: {link.found}")
        if not link.is_fine:
            click.echo(f"       {link.remedy}")
            return 1
    click.echo("Everything works.")
    return 0
