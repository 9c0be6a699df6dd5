"""`impasto gimp` puts the plug-in into GIMP and checks the chain; `impasto helper` is what GIMP then starts."""

import sys
from pathlib import Path

import click

from impasto._cli._options import server_option


@click.command(hidden=True)
@click.option("--listen", "listens", is_flag=True, help="Serve hosts in sandboxes: at a socket, not stdin and stdout.")
@click.option("--socket", "path", type=click.Path(path_type=Path), help="Default: one among GIMP's folders.")
@click.option("--idle-minutes", default=60.0, show_default=True, help="End after so long without a host; 0: never.")
def helper(listens: bool, path: Path | None, idle_minutes: float) -> None:
    """Serve a host program over stdin and stdout (docs/helper-protocol.md)."""
    if listens:
        from impasto._gimp._profiles import helper_socket
        from impasto._helper._listening import listen

        path = path or helper_socket(Path.home())
        click.echo(f"Impasto's helper listens at {path}. GIMP finds it there; Ctrl+C ends it.")
        listen(path, idle_minutes * 60 or None)
        return
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
    from impasto._gimp import _unit
    from impasto._gimp._plug_in import install_into
    from impasto._gimp._profiles import chosen_profiles, helper_socket

    for profile in chosen_profiles(profiles):
        target = install_into(profile)
        click.echo(f"GIMP {profile.version}: the plug-in is in {target}")
        if profile.note:
            click.echo(f"  {profile.note}")
    if _unit.has_systemd():
        _unit.write_unit(helper_socket(Path.home()), _unit.unit_path(Path.home()))
    if sys.platform == "linux":
        click.echo(f"A GIMP from Flatpak can't start the helper itself. For one, type: {_unit.start_command()}")
    click.echo("Start GIMP again: Filters → Artistic → Neural Style…")


@gimp.command()
@click.option("--socket", "path", type=click.Path(path_type=Path), help="Default: one among GIMP's folders.")
def listen(path: Path | None) -> None:
    """Let a helper listen for a GIMP in a sandbox: with systemd from now on, else as long as this runs."""
    from impasto._gimp import _unit
    from impasto._gimp._profiles import helper_socket
    from impasto._helper._listening import listen as listen_at

    path = path or helper_socket(Path.home())
    if _unit.has_systemd() and _unit.start_unit(path, _unit.unit_path(Path.home())):
        click.echo("A helper listens for GIMP from now on. `impasto gimp uninstall` ends it.")
        return
    click.echo(f"A helper listens at {path} as long as this runs. GIMP finds it there; Ctrl+C ends it.")
    listen_at(path, None)


@gimp.command()
@profile_option
def uninstall(profiles: tuple[Path, ...]) -> None:
    """Take the plug-in out of GIMP's profiles."""
    from impasto._gimp import _unit
    from impasto._gimp._plug_in import uninstall_from
    from impasto._gimp._profiles import chosen_profiles

    if _unit.remove_unit(path := _unit.unit_path(Path.home())):
        click.echo(f"removed {path}")
    for profile in chosen_profiles(profiles):
        removed = uninstall_from(profile)
        click.echo(f"GIMP {profile.version}: {'removed' if removed else 'nothing was in'} {profile.plug_in}")


@gimp.command()
@profile_option
@server_option
def doctor(profiles: tuple[Path, ...], server: str | None) -> int:
    """Check every link from GIMP to the picture; says what to do about the first that fails."""
    from impasto._gimp._doctor import links

    for link in links(profiles, server):
        click.echo(f"{'ok' if link.is_fine else 'FAILS':<6} {link.name}: {link.found}")
        if not link.is_fine:
            click.echo(f"       {link.remedy}")
            return 1
    click.echo("Everything works.")
    return 0
