"""Where packages come from: the index that pip or uv is configured for on this computer, told to both of them.

uv doesn't read pip's configuration, and pip doesn't read uv's. Nobody's default index is named here: without any
configuration each asks its own.
"""

import ast

from way_in.outside import outside

PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
"""pip's options, and the variables in which uv takes the same."""
UV_INDEX = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
WITH_COMMAS = ("UV_FIND_LINKS",)


def pip_environment(environment):
    """What pip runs with: uv's index, where only uv has one."""
    # Who wants pip in environments only means what it installs, not what it downloads.
    told = {**environment, "PIP_REQUIRE_VIRTUALENV": "0"}
    of_uv = next((environment[name] for name in UV_INDEX if environment.get(name)), "")
    if of_uv and not environment.get("PIP_INDEX_URL"):
        told["PIP_INDEX_URL"] = of_uv
    return told


def uv_environment(environment, pip_config):
    """What uv runs with. `pip_config`: what `pip config list` prints. What is said to uv itself goes before it."""
    told = outside(environment)
    # As pip does: a company's own authority is known to the system only.
    told.setdefault("UV_SYSTEM_CERTS", "1")
    options = pip_options(pip_config)
    for option, variable in PIP_TO_UV.items():
        words = options.get(option, "").split()
        if words and not (variable in UV_INDEX and any(environment.get(name) for name in UV_INDEX)):
            told.setdefault(variable, ("," if variable in WITH_COMMAS else " ").join(words))
    if options.get("extra-index-url"):
        # pip takes the best of all indexes; who configured several counts on it.
        told.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return told


def uv_options(pip_config):
    """What uv has no variable for, as options of `uv pip install`."""
    wants_none = pip_options(pip_config).get("no-index", "").lower() in ("1", "true", "yes", "on")
    return ["--no-index"] if wants_none else []


def pip_options(pip_config):
    """Options by name from lines such as `global.index-url='…'`; those of the environment come last and win."""
    options = {}
    for line in sorted(pip_config.splitlines(), key=lambda line: line.startswith(":env:")):
        key, separator, value = line.partition("=")
        _section, _dot, option = key.rpartition(".")
        if separator and option:
            try:
                options[option] = str(ast.literal_eval(value))
            except (ValueError, SyntaxError):
                continue
    return options
