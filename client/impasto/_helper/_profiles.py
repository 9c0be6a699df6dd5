"""Where GIMP 3 keeps a user's plug-ins on every system, and how ours gets there and away again."""

import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from impasto._exceptions import ImpastoError

NAME = "impasto"
COMMAND_FILE = "helper.json"
FLATPAK_ID = "org.gimp.GIMP"
FLATPAK_NOTE = (
    "This GIMP comes from Flatpak and may not start programs outside its sandbox: allow it once with "
    f"`flatpak override --user --talk-name=org.freedesktop.Flatpak {FLATPAK_ID}`."
)
SNAP_NOTE = "This GIMP comes from Snap: if it can't start the helper, install GIMP from another source."
LEFT_OUT = ("__pycache__", "*.po", "*.pot", COMMAND_FILE)


class PlugInError(ImpastoError):
    """The plug-in can't be put where it belongs."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One GIMP profile of this user."""

    folder: Path
    note: str = ""
    """What else has to be done there."""
    launcher: tuple[str, ...] = ()
    """What GIMP has to put before the helper's command."""

    @property
    def version(self) -> str:
        """`3.0`, `3.2`."""
        return self.folder.name

    @property
    def plug_in(self) -> Path:
        """Where the plug-in is, or would be."""
        return self.folder / "plug-ins" / NAME


def find_profiles(
    home: Path, environment: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> Iterator[Profile]:
    """All profiles of GIMP 3, whichever way it was installed. GIMP makes one at its first start."""
    places: list[tuple[Path, str, tuple[str, ...]]]
    if platform == "win32":
        places = [(Path(environment.get("APPDATA", str(home / "AppData/Roaming"))) / "GIMP", "", ())]
    elif platform == "darwin":
        places = [(home / "Library/Application Support/GIMP", "", ())]
    else:
        config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        places = [
            (config / "GIMP", "", ()),
            (home / ".var/app" / FLATPAK_ID / "config/GIMP", FLATPAK_NOTE, ("flatpak-spawn", "--host")),
            (home / "snap/gimp/current/.config/GIMP", SNAP_NOTE, ()),
        ]
    for place, note, launcher in places:
        for folder in sorted(place.glob("3.*")):
            if folder.is_dir():
                yield Profile(folder, note, launcher)


def chosen_profiles(folders: tuple[Path, ...]) -> list[Profile]:
    """The profiles that were named, or all there are. Raises PlugInError if there is none."""
    known = list(find_profiles(Path.home()))
    if not folders:
        if not known:
            raise PlugInError(
                "No profile of GIMP 3 was found. Start GIMP 3 once and close it, then run this again; "
                "or name its profile with --profile (GIMP shows it in Edit → Preferences → Folders)."
            )
        return known
    for folder in folders:
        if not folder.is_dir():
            raise PlugInError(f"{folder} is no folder; a GIMP profile such as ~/.config/GIMP/3.0 was expected.")
    by_folder = {profile.folder: profile for profile in known}
    return [by_folder.get(folder.absolute(), Profile(folder.absolute())) for folder in folders]


def install_into(profile: Profile, source: Path | None = None) -> Path:
    """Copies the plug-in and writes down where the helper is. Replaces an older one whole."""
    source = source or plug_in_source()
    target = profile.plug_in
    fresh = target.with_name(f".{NAME}.new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(source, fresh, ignore=shutil.ignore_patterns(*LEFT_OUT))
        command = [*profile.launcher, sys.executable, "-P", "-m", "impasto", "helper"]
        (fresh / COMMAND_FILE).write_text(json.dumps({"command": command}, indent=1), encoding="utf-8")
        script = fresh / f"{NAME}.py"
        script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    except OSError as error:
        raise PlugInError(f"The plug-in can't be written to {target}: {error.strerror or error}.") from None
    return target


def uninstall_from(profile: Profile) -> bool:
    """Removes the plug-in; False if there was none."""
    if not profile.plug_in.exists():
        return False
    try:
        shutil.rmtree(profile.plug_in)
    except OSError as error:
        raise PlugInError(f"{profile.plug_in} can't be removed: {error.strerror or error}.") from None
    return True


def plug_in_source() -> Path:
    """The plug-in as it came with this package: beside the client in a wheel, in `plugin/` of a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_plug_in", package.parent.parent / "plugin" / NAME):
        if (folder / f"{NAME}.py").is_file():
            return folder
    raise PlugInError("The plug-in did not come with this installation: install Impasto again.")
