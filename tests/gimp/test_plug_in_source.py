"""The plug-in's source, without GIMP: what it may import, and that nobody has to read English."""

from __future__ import annotations

import ast
import gettext
import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from impasto._gimp._plug_in import install_into, uninstall_from
from impasto._gimp._profiles import find_profiles
from impasto_server.gallery import GALLERY
from impasto_server.recipes import RECIPES
from tools.gimp import translations

PLUG_IN = translations.PLUG_IN


LEAVES = {"texts", "words"}
ARROWS = {
    "texts": set(),
    "server_words": {"texts"},
    "words": {"texts"},
    "history": set(),
    "way_in": {"texts"},
    "connection": {"texts", "way_in"},
    "picture": {"texts"},
    "painting": {"connection", "history", "picture", *LEAVES},
    "window": {"connection", "painting", "picture", "history", "way_in", *LEAVES},
    "procedures": {"painting", "window", *LEAVES},
    "impasto": {"procedures"},
}
"""Room by room: which rooms of the plug-in it may import. They point one way: there is no circle."""


def imported(path: Path) -> set[str]:
    """The first names of everything that a file imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return {name.split(".")[0] for name in names}


def test_it_imports_the_standard_library_and_gi_only_and_its_rooms_along_their_arrows() -> None:
    outside = set(sys.stdlib_module_names) | {"gi"}
    files = list(PLUG_IN.rglob("*.py"))
    assert len(files) > 20
    for path in files:
        room = path.relative_to(PLUG_IN).parts[0].removesuffix(".py")
        assert imported(path) - outside <= {room, *ARROWS[room]}, path


def test_the_history_needs_no_gimp() -> None:
    for path in (PLUG_IN / "history").glob("*.py"):
        assert "gi" not in imported(path), path


@pytest.mark.skipif(not shutil.which("xgettext"), reason="gettext's programs are not installed")
def test_every_string_is_translated() -> None:
    assert translations.complaints() == []


def test_what_the_server_says_is_known_to_the_translators() -> None:
    """A recipe or a style that is added or reworded has to be translated anew."""
    source = ast.parse((PLUG_IN / "server_words.py").read_text(encoding="utf-8"))
    words = {call.args[0].value for call in ast.walk(source) if isinstance(call, ast.Call)}  # type: ignore[attr-defined]
    said = {recipe.summary for recipe in RECIPES.values()}
    said |= {words for style in GALLERY for words in (style.title, style.description)}
    assert words == said


@pytest.mark.parametrize("language", ["en", *(path.stem for path in translations.languages())])
def test_no_two_things_in_the_dialog_have_the_same_key(language: str) -> None:
    translated = gettext.translation("impasto", translations.LOCALE, [language], fallback=True)
    keys = [mnemonic.upper() for label in dialog_labels() for mnemonic in re.findall("_(.)", translated.gettext(label))]
    # GIMP's own buttons beside ours (Reset, Load, Save); other languages have others.
    keys += list("RLS") if language == "en" else []
    assert len(keys) >= 18
    assert [key for key, times in Counter(keys).items() if times > 1] == []


def dialog_labels() -> list[str]:
    """Labels with an underlined letter in the files that the dialog is made of."""
    labels = []
    names = ("canvas", "dialog", "more_view", "progress_view", "server_view", "settings_view")
    for name in names:
        tree = ast.parse((PLUG_IN / f"window/{name}.py").read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "_"]
        labels += [text for call in calls if "_" in (text := ast.literal_eval(call.args[0]))]
    return labels


def test_installing_finds_every_kind_of_profile(tmp_path: Path) -> None:
    for folder in (".config/GIMP/3.0", ".config/GIMP/2.10", ".config/GIMP/3.2", "snap/gimp/current/.config/GIMP/3.0"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".var/app/org.gimp.GIMP/config/GIMP/3.0").mkdir(parents=True)
    (tmp_path / "Library/Application Support/GIMP/3.0").mkdir(parents=True)
    (tmp_path / "Roaming/GIMP/3.0").mkdir(parents=True)
    linux = [str(profile.folder.relative_to(tmp_path)) for profile in find_profiles(tmp_path, {}, "linux")]
    assert linux == [
        ".config/GIMP/3.0",
        ".config/GIMP/3.2",
        ".var/app/org.gimp.GIMP/config/GIMP/3.0",
        "snap/gimp/current/.config/GIMP/3.0",
    ]
    mac = [profile.folder for profile in find_profiles(tmp_path, {}, "darwin")]
    assert mac == [tmp_path / "Library/Application Support/GIMP/3.0"]
    windows = [p.folder for p in find_profiles(tmp_path, {"APPDATA": str(tmp_path / "Roaming")}, "win32")]
    assert windows == [tmp_path / "Roaming/GIMP/3.0"]


def test_what_is_installed_knows_its_helper_and_goes_away_again(tmp_path: Path) -> None:
    (tmp_path / ".config/GIMP/3.0").mkdir(parents=True)
    (profile,) = find_profiles(tmp_path, {}, "linux")
    target = install_into(profile)
    # Twice is once.
    install_into(profile)
    assert (target / "impasto.py").stat().st_mode & 0o111
    assert json.loads((target / "helper.json").read_text())["command"][-2:] == ["impasto", "helper"]
    assert (target / "locale/ko/LC_MESSAGES/impasto.mo").is_file()
    assert [path.name for path in target.parent.iterdir()] == ["impasto"]
    assert uninstall_from(profile)
    assert not uninstall_from(profile)
