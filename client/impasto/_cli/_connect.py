"""`impasto connect`: from an invitation to a server that everything here uses, GIMP too."""

import sys

import click

from impasto._client import Client
from impasto._config import LOCAL, choose_server, config_path, invitations_path, write_server
from impasto._invitations import is_invitation, keep


@click.command()
@click.argument("server", metavar="INVITATION")
def connect(server: str) -> None:
    """Use the server of an INVITATION from now on: here, in scripts and in GIMP.

    `impasto guests invite` prints one on the server's side. It may also be HOST:PORT or unix:/path of a server that
    needs none, or `local` to go back to the private one. `-` reads it from stdin: unlike arguments, nobody sees that.
    """
    if server == "-":
        server = sys.stdin.readline().strip()
    choice = choose_server(server)
    if choice.address != LOCAL:
        # Before anything is kept: a wrong one must not stand in the way of what worked.
        with Client(server) as client:
            version = client.server_info().version
    if choice.invitation and is_invitation(server):
        keep(invitations_path(), choice.invitation)
    write_server(config_path(), choice.address)
    if choice.address == LOCAL:
        click.echo("Paints on this machine from now on.")
    else:
        encrypted = "encrypted" if choice.invitation else "not encrypted"
        click.echo(f"Connected to Impasto {version} at {choice.address}, {encrypted}. It is used from now on.")
    if (used := choose_server()).address != choice.address:
        click.echo(f"{used.source} goes before that: {used.address}.", err=True)
