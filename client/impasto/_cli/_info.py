"""`impasto info` and `impasto styles`: what the server is and offers."""

import dataclasses
import json
from typing import Any

import click
from rich.table import Table

from impasto._cli._jobs import print_table
from impasto._cli._options import json_option, server_option
from impasto._client import Client


@click.command()
@server_option
@json_option
def info(server: str | None, as_json: bool) -> None:
    """Show the server: version, devices, recipes, limits."""
    with Client(server) as client:
        found, address = client.server_info(), client.address
    if as_json:
        click.echo(json.dumps({"address": address, **plain(found)}))
        return
    limits = found.limits
    click.echo(f"Impasto {found.version} at {address}")
    click.echo(f"jobs      {found.running_jobs} running, {found.queued_jobs} waiting")
    for device in found.devices:
        memory = f", {device.memory_bytes / 2**30:.0f} GiB" if device.memory_bytes else ""
        click.echo(f"device    {device.name}: {device.description}{memory}{', busy' if device.busy else ''}")
        for notice in device.notices:
            click.echo(f"notice    {notice}")
    for recipe in found.recipes:
        click.echo(f"recipe    {recipe.name}: {recipe.summary}")
    for weights in found.weights:
        click.echo(f"weights   {weights.name}: {weights.description}")
    click.echo(f"styles    {', '.join(style.name for style in found.gallery)}")
    click.echo(
        f"limits    results to {limits.max_size_px} px; uploads to {limits.max_image_bytes / 2**20:.0f} MiB "
        f"and {limits.max_image_pixels / 1e6:.0f} megapixels; {limits.max_queued_jobs} jobs waiting"
    )


@click.command()
@server_option
@json_option
def styles(server: str | None, as_json: bool) -> None:
    """Show the styles that come with the server."""
    with Client(server) as client:
        gallery = client.styles()
    if as_json:
        for style in gallery:
            click.echo(json.dumps(plain(style)))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("name", "title", "manner"):
        table.add_column(column, no_wrap=column == "name")
    for style in gallery:
        table.add_row(style.name, style.title, style.description)
    print_table(table)


def plain(value: Any) -> Any:
    """Records as dictionaries, all the way down."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "items"):
        return {key: plain(entry) for key, entry in value.items()}
    return value
