"""`impasto guests`: who may come in. Beside a running server or before its first start; it counts at once."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import click

from impasto._invitations import Invitation
from impasto_server.service import CertificateError, Guests, own_certificate
from impasto_server.state_dir import state_dir_option

_ADDRESS = re.compile(r"[^@#/\s]+:\d{1,5}")


@click.group()
def guests() -> None:
    """Invite people to a server that can be reached from other machines.

    A guest paints, and sees no jobs but its own.
    """


@guests.command()
@click.argument("name")
@click.option(
    "--address",
    default=lambda: f"{platform.node()}:50051",
    help="HOST:PORT by which the guest reaches the server. Default: this machine's name, port 50051.",
)
@click.option("--public", is_flag=True, help="The server shows a certificate (--tls-cert) that every machine trusts.")
@state_dir_option
def invite(name: str, address: str, public: bool, state_dir: Path) -> None:
    """Print an invitation for NAME. An earlier one for the same name counts no more."""
    if not _ADDRESS.fullmatch(address):
        raise click.BadParameter(f"{address!r} is no HOST:PORT.", param_hint="--address")
    try:
        fingerprint = "" if public else own_certificate(state_dir).fingerprint
        token = Guests(state_dir).invite(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except (CertificateError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{name} comes in with this command, which won't be shown again:\n", err=True)
    click.echo(f"impasto connect {Invitation(address, token, fingerprint)}")


@guests.command(name="list")
@state_dir_option
def list_guests(state_dir: Path) -> None:
    """Show who is invited, and since when."""
    for guest in Guests(state_dir).all():
        click.echo(f"{guest.name}  since {guest.since.astimezone():%Y-%m-%d %H:%M}")


@guests.command()
@click.argument("name")
@state_dir_option
def remove(name: str, state_dir: Path) -> None:
    """Let NAME in no more. Its jobs stay until they expire."""
    try:
        found = Guests(state_dir).remove(name)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    if not found:
        raise click.ClickException(f"{name} was not invited; see `impasto guests list`.")
