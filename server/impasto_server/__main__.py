"""`impasto serve`, also as `python -m impasto_server`: options in, a running server out."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import sys
from pathlib import Path

import click

from impasto._version import __version__
from impasto_server.engine import SILENCE_S
from impasto_server.jobs import Limits
from impasto_server.service import (
    CannotServe,
    Certificate,
    CertificateError,
    ServerConfig,
    own_certificate,
    read_certificate,
)
from impasto_server.service import serve as run_server
from impasto_server.state_dir import state_dir_option

DEFAULT_LISTEN = "127.0.0.1:50051"


@click.command(context_settings={"auto_envvar_prefix": "IMPASTO_SERVE"})
@click.option(
    "--listen",
    default=DEFAULT_LISTEN,
    show_default=True,
    help="HOST:PORT (port 0: any free one) or unix:/path.",
)
@click.option(
    "--tls", is_flag=True, help="Encrypt, and let in guests only, on an address of this machine too; beyond it, always."
)
@click.option(
    "--tls-cert",
    type=click.Path(path_type=Path),
    help="Certificate chain, PEM; needs --tls-key. Default: one of the server's own, which invitations vouch for.",
)
@click.option("--tls-key", type=click.Path(path_type=Path), help="The certificate's private key, PEM.")
@click.option("--insecure-i-know", is_flag=True, help="Listen beyond this machine without encryption, to everybody.")
@click.option(
    "--device",
    "devices",
    multiple=True,
    help="cuda:0, mps, cpu; repeat for several. Default: the best there is.",
)
@state_dir_option
@click.option(
    "--max-queued",
    default=Limits().max_queued,
    show_default=True,
    type=click.IntRange(1),
    help="Jobs that may wait.",
)
@click.option(
    "--keep-days",
    default=Limits().keep_days,
    show_default=True,
    type=click.FloatRange(0),
    help="How long jobs and their pictures are kept after their end.",
)
@click.option(
    "--max-disk",
    type=click.FloatRange(0.001),
    help="Gigabytes that images and checkpoints may take; then new work is refused, never what runs.",
)
@click.option(
    "--checkpoint-s",
    default=Limits().checkpoint_interval_s,
    show_default=True,
    type=click.FloatRange(0),
    help="Time between two checkpoints of a running job.",
)
@click.option(
    "--max-size-px",
    default=16384,
    show_default=True,
    type=click.IntRange(32),
    help="Longest side of a result.",
)
@click.option(
    "--max-image-megapixels",
    default=270.0,
    show_default=True,
    type=click.FloatRange(0.001),
    help="Largest upload.",
)
@click.option("--allow-weight-files", is_flag=True, help="Let jobs name files of this machine as VGG weights.")
@click.option(
    "--drain-s",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Time for running jobs to end at a stop; what still runs then goes on at the next start.",
)
@click.option(
    "--silence-s",
    default=SILENCE_S,
    show_default=True,
    type=click.FloatRange(1),
    help="A worker that gives no sign of life for so long is ended, and its job goes on in the next one.",
)
@click.option(
    "--keepalive-s",
    default=30.0,
    show_default=True,
    type=click.FloatRange(1),
    help="Time between pings that find out whether a silent client is still there.",
)
@click.option("--idle-exit-s", type=click.FloatRange(1), help="Stop by itself after so long without calls and jobs.")
@click.option("--private", is_flag=True, help="Run as one user's own server: weight files are allowed.")
@click.option(
    "--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]), show_default=True
)
@click.version_option(__version__)
def serve(
    listen: str,
    tls: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    insecure_i_know: bool,
    devices: tuple[str, ...],
    state_dir: Path,
    max_queued: int,
    keep_days: float,
    max_disk: float | None,
    checkpoint_s: float,
    max_size_px: int,
    max_image_megapixels: float,
    allow_weight_files: bool,
    drain_s: float,
    silence_s: float,
    keepalive_s: float,
    idle_exit_s: float | None,
    private: bool,
    log_level: str,
) -> None:
    """Run a server that paints.

    It listens on this machine only unless told otherwise, starts one worker a device, and stops on SIGTERM or Ctrl-C
    after the running jobs have ended (a second time: at once). Beyond this machine it encrypts, and lets in only those
    who were invited: see `impasto guests`.
    """
    if bool(tls_cert) != bool(tls_key):
        raise click.UsageError("--tls-cert and --tls-key go together.")
    tls = tls or tls_cert is not None
    if tls and insecure_i_know:
        raise click.UsageError("--insecure-i-know says not to encrypt, --tls and --tls-cert say to.")
    logging.basicConfig(
        level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        encrypts = must_encrypt(listen, tls=tls, insecure=insecure_i_know)
        certificate = _certificate(state_dir, tls_cert, tls_key) if encrypts else None
    except CertificateError as error:
        click.echo(f"impasto serve: {error}", err=True)
        sys.exit(1)
    config = ServerConfig(
        listen=listen,
        state_dir=state_dir,
        certificate=certificate,
        devices=devices or ("auto",),
        limits=Limits(max_queued, keep_days, int(max_disk * 1e9) if max_disk else None, checkpoint_s),
        max_size_px=max_size_px,
        weight_files=allow_weight_files or private,
        max_image_pixels=int(max_image_megapixels * 1e6),
        drain_s=drain_s,
        silence_s=silence_s,
        keepalive_s=keepalive_s,
        idle_exit_s=idle_exit_s,
    )
    try:
        asyncio.run(run_server(config, on_ready=_announce))
    except CannotServe as error:
        click.echo(f"impasto serve: {error}", err=True)
        sys.exit(1)


def _certificate(state_dir: Path, chain: Path | None, key: Path | None) -> Certificate:
    return read_certificate(chain, key) if chain and key else own_certificate(state_dir)


def _announce(address: str) -> None:
    # Scripts that start a server with port 0 read this line. Nobody may read it, and a private server writes it to its
    # log, which may be on a full disk.
    with contextlib.suppress(OSError):
        click.echo(f"impasto: listening on {address}")
        sys.stdout.flush()


def must_encrypt(listen: str, *, tls: bool, insecure: bool) -> bool:
    """Whether a server encrypts and lets in guests only: beyond this machine always, unless told in so many words."""
    return tls or not (insecure or _is_local(listen))


def _is_local(listen: str) -> bool:
    if listen.startswith("unix:"):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    serve(prog_name="python -m impasto_server")
