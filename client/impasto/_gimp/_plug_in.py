"""How the plug-in's files get into a profile and out again, and what they are told of the helper."""

import json
import shutil
import stat
import sys
from pathlib import Path

from impasto._gimp._profiles import NAME, PlugInError, Profile, helper_socket
from impasto._gimp._unit import start_command

COMMAND_FILE = "helper.json"
LEFT_OUT = ("__pycache__", "*.po", "*.pot", COMMAND_FILE)


def helper_command() -> list[str]:
    """What starts the helper of this installation."""
    return [sys.executable, "-P", "-m", "impasto", "helper"]


def helper_facts() -> dict[str, object]:
    """What the plug-in is told: the command that starts the helper; and for a GIMP in a sandbox, which can't start
    it, the socket where one listens and the command that a user types to start that one."""
    return {"command": helper_command(), "socket": str(helper_socket(Path.home())), "start": start_command()}


def install_into(profile: Profile, source: Path | None = None) -> Path:
    """Copies the plug-in and writes down where the helper is. Replaces an older one whole. Raises PlugInError."""
    source = source or plug_in_source()
    target = profile.plug_in
    fresh = target.with_name(f".{NAME}.new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(source, fresh, ignore=shutil.ignore_patterns(*LEFT_OUT))
        (fresh / COMMAND_FILE).write_text(json.dumps(helper_facts(), indent=1), encoding="utf-8")
        script = fresh / f"{NAME}.py"
        script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    except OSError as error:
        raise PlugInError(f"The plug-in can't be written to {target}: {error.strerror or error}.") from None
    return target


def uninstall_from(profile: Profile) -> bool:
    """Removes the plug-in; False if there was none. Raises PlugInError."""
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
