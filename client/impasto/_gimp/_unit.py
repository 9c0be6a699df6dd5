"""The systemd user unit that keeps a helper listening for GIMPs in sandboxes, and what a user types to start one.

The unit is written and not enabled: who has no GIMP in a sandbox needs no helper that listens.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from impasto._gimp._profiles import PlugInError

NAME = "impasto-helper.service"
SYSTEMD = Path("/run/systemd/system")
"""There where the system was started by systemd (sd_booted)."""
SYSTEMCTL_TIMEOUT_S = 20.0


def has_systemd(running: Path = SYSTEMD) -> bool:
    """Whether a user's units can be started here."""
    return running.is_dir() and shutil.which("systemctl") is not None


def unit_path(home: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where systemd looks for this user's units."""
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "systemd/user" / NAME


def unit_text(socket: Path) -> str:
    """The unit for this installation's helper."""
    words = [*listening_command(), "--socket", str(socket), "--idle-minutes", "0"]
    command = " ".join(quoted(word) for word in words)
    # KillMode: paintings outlive the helper, and so must the private server that it may have started.
    return f"""\
[Unit]
Description=Impasto's helper, for GIMP in a sandbox

[Service]
ExecStart={command}
KillMode=process
Restart=on-failure
RestartSec=5

[Install]
WantedBy=default.target
"""


def listening_command() -> list[str]:
    """What starts a listening helper by hand."""
    return [sys.executable, "-P", "-m", "impasto", "helper", "--listen"]


def quoted(word: str) -> str:
    """A word as systemd's units want it (systemd.service, "Command lines")."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def start_command(running: Path = SYSTEMD) -> str:
    """The one line that a user types so that a helper listens: from now on where systemd is, else until it idles."""
    return f"systemctl --user enable --now {NAME}" if has_systemd(running) else shlex.join(listening_command())


def write_unit(socket: Path, path: Path) -> None:
    """Writes the unit. Raises PlugInError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(unit_text(socket), encoding="utf-8")
    except OSError as error:
        raise PlugInError(f"{path} can't be written: {error.strerror or error}.") from None
    systemctl("daemon-reload")


def start_unit(socket: Path, path: Path) -> bool:
    """Writes the unit, and starts it now and at every login; False if systemd didn't. Raises PlugInError."""
    write_unit(socket, path)
    # One that runs may be another installation's.
    return systemctl("enable", NAME) and systemctl("restart", NAME)


def remove_unit(path: Path) -> bool:
    """Ends the helper that the unit started, and removes the unit; False if there was none. Raises PlugInError."""
    if not path.exists():
        return False
    systemctl("disable", "--now", NAME)
    try:
        path.unlink()
    except OSError as error:
        raise PlugInError(f"{path} can't be removed: {error.strerror or error}.") from None
    systemctl("daemon-reload")
    return True


def systemctl(*words: str) -> bool:
    """Tells the user's systemd; False if it refused, or if there is none: in containers there may be no user's."""
    if not has_systemd():
        return False
    command = ["systemctl", "--user", *words]
    try:
        return subprocess.run(command, capture_output=True, timeout=SYSTEMCTL_TIMEOUT_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
