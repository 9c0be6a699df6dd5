"""Checks every link of the chain from GIMP to a picture, in order, up to the first that fails."""

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from impasto._client import Client
from impasto._exceptions import ImpastoError
from impasto._gimp._plug_in import COMMAND_FILE
from impasto._gimp._profiles import NAME, Profile, chosen_profiles, has_flatpak_gimp
from impasto._helper._listening import reachable

HELPER_TIMEOUT_S = 20.0
JOB_TIMEOUT_S = 180.0
JOB_PX = 64
JOB_STEPS = 4


@dataclass(frozen=True, slots=True)
class Link:
    """One link and how it was found."""

    name: str
    is_fine: bool
    found: str
    remedy: str = ""


def links(folders: tuple[Path, ...], server: str | None) -> Iterator[Link]:
    """Profile, plug-in, helper, server, device, a small job end to end. Stop at the first that is not fine."""
    try:
        profiles = chosen_profiles(folders)
    except ImpastoError as error:
        yield Link("GIMP profile", False, "none", str(error))
        return
    yield Link("GIMP profile", True, ", ".join(str(profile.folder) for profile in profiles))
    for profile in profiles:
        yield check_plug_in(profile)
        yield check_helper(profile)
        yield from check_listening(profile)
    try:
        with Client(server) as client:
            yield from check_server(client)
    except ImpastoError as error:
        yield Link("server", False, told(error), "Start it, or name another: --server, IMPASTO_SERVER, the dialog.")


def check_plug_in(profile: Profile) -> Link:
    """Is it there, and may it run?"""
    script = profile.plug_in / f"{NAME}.py"
    if not script.is_file():
        return Link("plug-in", False, f"not in {profile.plug_in}", "Run `impasto gimp install`.")
    return Link("plug-in", True, str(profile.plug_in))


def check_helper(profile: Profile) -> Link:
    """Does what the plug-in would start answer?"""
    remedy = "Run `impasto gimp install` from the environment that Impasto is installed in."
    try:
        command = json.loads((profile.plug_in / COMMAND_FILE).read_text(encoding="utf-8"))["command"]
        started = time.perf_counter()
        done = subprocess.run(
            command, input=b'{"id":1,"ask":"hello"}\n', capture_output=True, timeout=HELPER_TIMEOUT_S, check=False
        )
        answer = json.loads(done.stdout)
    except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
        return Link("helper", False, f"does not answer: {error}", remedy)
    found = f"version {answer['version']} answers in {time.perf_counter() - started:.1f} s"
    return Link("helper", True, found)


def check_listening(profile: Profile) -> Iterator[Link]:
    """Does a helper listen for a GIMP in a sandbox? Somebody without one needs none, and hears nothing of it."""
    try:
        facts = json.loads((profile.plug_in / COMMAND_FILE).read_text(encoding="utf-8"))
        path, start = Path(facts["socket"]), facts["start"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    name = "helper for Flatpak"
    try:
        yield Link(name, True, f"version {reachable(path, HELPER_TIMEOUT_S)} answers at {path}")
    except ImpastoError as error:
        if has_flatpak_gimp(Path.home()):
            yield Link(name, False, str(error), f"Type: {start}")


def check_server(client: Client) -> Iterator[Link]:
    """Server, device, job."""
    started = time.perf_counter()
    info = client.server_info()
    seconds = time.perf_counter() - started
    yield Link("server", True, f"version {info.version} at {client.address} answers in {seconds:.1f} s")
    started = time.perf_counter()
    job = client.submit(checker(), info.gallery[0].name, size_px=JOB_PX, steps=JOB_STEPS, recipe=info.recipes[-1].name)
    try:
        picture = job.result(JOB_TIMEOUT_S)
    except ImpastoError as error:
        yield Link("painting", False, told(error), "The server's log says more; `impasto jobs show` has the job.")
        return
    job.refresh()
    yield Link("device", True, job.device)
    seconds = time.perf_counter() - started
    yield Link("painting", True, f"{picture.width} × {picture.height} px, {JOB_STEPS} steps in {seconds:.1f} s")
    job.delete()


def told(error: ImpastoError) -> str:
    """All that is known of an error."""
    return "\n".join(text for text in (str(error), error.details) if text)


def checker() -> bytes:
    """A picture to paint: a chessboard."""
    from impasto._helper._pixels import Raw

    dark, light = bytes((40, 60, 120)) * 8, bytes((220, 180, 90)) * 8
    rows = [(dark + light if y // 8 % 2 else light + dark) * (JOB_PX // 16) for y in range(JOB_PX)]
    return Raw(JOB_PX, JOB_PX, 3, b"".join(rows)).png(JOB_PX)
