"""What a painter reads when the server that the client starts for itself is not well."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from impasto import LocalServerError, _local
from impasto._helper._sentences import LONGEST, explain


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            "No server is configured, and a private one can't be started on this machine because torch is not "
            "installed. Install it with `pip install 'impasto[server]'`, or set IMPASTO_SERVER to the address.",
            "Impasto can't paint on this computer because torch is not installed. Set Impasto up again, or use a "
            "server.",
        ),
        (
            "A private server runs on atelier, with the same folder as one here would have: /home/x. Wait until it "
            "has ended, 15 minutes after its last work, or give this machine a folder of its own.",
            "Impasto runs on atelier already, in the same folder. Wait until it has ended, 15 minutes "
            "after its last work.",
        ),
        (
            "A private server of Impasto 9.1 runs, which is newer than this client (0.1.0), and there is one.",
            "Impasto 9.1 runs on this computer, and GIMP's part of it is older (0.1.0). Set Impasto up again.",
        ),
        (
            "The private local server stopped answering. The next command or call starts a new one, and unfinished "
            "jobs go on.",
            "Impasto on this computer stopped answering. Unfinished paintings go on once it is asked again.",
        ),
        (
            "The private local server did not answer within 20 s.",
            "Impasto on this computer did not answer within 20 s.",
        ),
    ],
)
def test_a_painter_reads_of_their_computer_and_not_of_a_private_local_server(message: str, sentence: str) -> None:
    told = explain(LocalServerError(message))
    assert told["sentence"] == sentence
    assert message in told["details"]
    assert len(sentence) <= LONGEST


def test_nothing_that_the_client_says_of_it_is_left_in_its_words() -> None:
    """It may be reworded there: then the painter's words have to follow."""
    source = ast.parse(Path(_local.__file__).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(source) if isinstance(node, ast.Call) and node.args]
    messages = [call.args[0] for call in calls if ast.unparse(call.func) == "LocalServerError"]
    said = ["".join(text_of(part) for part in getattr(message, "values", [message])) for message in messages]
    assert len(said) >= 5
    for message in said:
        assert "private" not in explain(LocalServerError(message))["sentence"], message


def text_of(part: ast.expr) -> str:
    """A string, or something in place of what is put into one."""
    return str(part.value) if isinstance(part, ast.Constant) else "(7)"
