"""Where GIMP 3 keeps a user's plug-ins on every system, and where a GIMP in a sandbox finds the helper."""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from impasto._exceptions import ImpastoError

NAME = "impasto"
FLATPAK_ID = "org.gimp.GIMP"
SNAP_NOTE = "This GIMP comes from Snap: if it can't start the helper, install GIMP from another source."


class PlugInError(ImpastoError):
    """The plug-in can't be put where it belongs."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One GIMP profile of this user. Which GIMP uses it is known at run time only: Flathub's shares a native one's."""

    folder: Path
    note: str = ""
    """What else has to be done there."""

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
    places = [(gimp_folder(home, environment, platform), "")]
    if platform not in ("win32", "darwin"):
        places.append((home / ".var/app" / FLATPAK_ID / "config/GIMP", ""))
        places.append((home / "snap/gimp/current/.config/GIMP", SNAP_NOTE))
    for place, note in places:
        for folder in sorted(place.glob("3.*")):
            if folder.is_dir():
                yield Profile(folder, note)


def gimp_folder(home: Path, environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Where a GIMP that isn't shut in, and Flathub's, keep their profiles."""
    if platform == "win32":
        return Path(environment.get("APPDATA", str(home / "AppData/Roaming"))) / "GIMP"
    if platform == "darwin":
        return home / "Library/Application Support/GIMP"
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "GIMP"


def helper_socket(home: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """The Unix socket by which a GIMP in a sandbox reaches the helper.

    Among GIMP's own folders: of a user's home these are what Flathub's GIMP shares, whatever else was taken from it.
    """
    return gimp_folder(home, environment) / NAME / "helper.sock"


def has_flatpak_gimp(home: Path) -> bool:
    """Whether GIMP is installed from Flatpak, for this user or for all."""
    installations = (home / ".local/share/flatpak", Path("/var/lib/flatpak"))
    return any((folder / "app" / FLATPAK_ID).exists() for folder in installations)


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
