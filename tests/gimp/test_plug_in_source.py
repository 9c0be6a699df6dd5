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


def test_it_imports_the_standard_library_and_gi_only() -> None:
    files = list(PLUG_IN.glob("*.py"))
    allowed = set(sys.stdlib_module_names) | {"gi"} | {path.stem for path in files}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= allowed, (path.name, names)


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
    # GIMP's own buttons beside ours; other languages have others.
    keys += list("RCLS") if language == "en" else []
    assert len(keys) >= 18
    assert [key for key, times in Counter(keys).items() if times > 1] == []


def dialog_labels() -> list[str]:
    """Labels with an underlined letter in the files that the dialog is made of."""
    labels = []
    for name in ("dialog", "more_view", "progress_view", "server_view"):
        tree = ast.parse((PLUG_IN / f"{name}.py").read_text(encoding="utf-8"))
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
