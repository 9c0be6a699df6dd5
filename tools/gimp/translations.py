"""`python -m tools.gimp.translations`: collects the plug-in's strings, merges them into each language, compiles them.

Needs gettext's programs (xgettext, msgmerge, msgfmt). A language is a file `locale/LANG.po`; a new one begins as a copy
of `locale/impasto.pot`. `--check` changes nothing and fails if a string is missing or untranslated.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.gimp.provision import REPOSITORY

PLUG_IN = REPOSITORY / "plugin/impasto"
LOCALE = PLUG_IN / "locale"
TEMPLATE = LOCALE / "impasto.pot"


def extract(target: Path) -> None:
    """Writes the template with all strings."""
    sources = sorted(str(path.relative_to(PLUG_IN)) for path in PLUG_IN.rglob("*.py"))
    run(
        *("xgettext", "--language=Python", "--keyword=_", "--keyword=ngettext:1,2", "--from-code=UTF-8"),
        *("--no-wrap", "--sort-by-file", "--add-location=file", "--package-name=impasto"),
        *(f"--directory={PLUG_IN}", f"--output={target}", *sources),
    )
    # The date of extraction is noise in every diff.
    text = re.sub(r'"POT-Creation-Date:.*\n', "", target.read_text(encoding="utf-8"))
    target.write_text(text.replace("charset=CHARSET", "charset=UTF-8"), encoding="utf-8")


def languages() -> list[Path]:
    """The languages there are."""
    return sorted(LOCALE.glob("*.po"))


def compile_language(language: Path, target: Path | None = None) -> None:
    """Writes what gettext reads at run time."""
    target = target or LOCALE / language.stem / "LC_MESSAGES/impasto.mo"
    target.parent.mkdir(parents=True, exist_ok=True)
    run("msgfmt", "--check", f"--output-file={target}", str(language))


def update() -> None:
    """Template, languages, compiled files."""
    extract(TEMPLATE)
    for language in languages():
        run("msgmerge", "--quiet", "--update", "--no-wrap", "--backup=none", str(language), str(TEMPLATE))
        compile_language(language)


def complaints() -> list[str]:
    """What is not as `update` would leave it."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "impasto.pot"
        extract(fresh)
        if fresh.read_text(encoding="utf-8") != TEMPLATE.read_text(encoding="utf-8"):
            found.append("locale/impasto.pot is behind the code: run python -m tools.gimp.translations")
        for language in languages():
            missing = untranslated(language)
            if missing:
                found.append(f"locale/{language.name} lacks {len(missing)} strings: {missing[0]!r} …")
            compiled = Path(folder) / f"{language.stem}.mo"
            compile_language(language, compiled)
            if compiled.read_bytes() != (LOCALE / language.stem / "LC_MESSAGES/impasto.mo").read_bytes():
                found.append(f"locale/{language.stem}'s compiled file is behind {language.name}")
    return found


def untranslated(language: Path) -> list[str]:
    """Strings of the template that a language has no words for."""
    listing = run("msgattrib", "--untranslated", "--no-wrap", str(language)) + run(
        "msgattrib", "--only-fuzzy", "--no-wrap", str(language)
    )
    return [text for text in re.findall(r'^msgid "(.+)"$', listing, re.MULTILINE) if text]


def run(*command: str) -> str:
    """Runs a program of gettext and gives what it prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> int:
    if "--check" not in sys.argv:
        update()
        return 0
    found = complaints()
    print("\n".join(found) or "translations: complete")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
