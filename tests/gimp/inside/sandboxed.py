"""Runs in a sandbox like Flathub's GIMP: PLUG_IN, then the server to paint with; prints what became of it as JSON."""

import json
import os
import shutil
import sys
from pathlib import Path

plug_in, server = Path(sys.argv[1]), sys.argv[2]
sys.path.insert(0, str(plug_in))

from texts import Refusal  # noqa: E402
from way_in.transport import open_helper  # noqa: E402

WIDTH, HEIGHT = 48, 32
answers = {"spawn": shutil.which("flatpak-spawn"), "home": sorted(path.name for path in Path.home().iterdir())}


def talk(helper):
    with (
        os.fdopen(helper.read_fd, "rb", closefd=False) as reading,
        os.fdopen(helper.write_fd, "wb", closefd=False) as out,
    ):

        def ask(head, part=b""):
            out.write(json.dumps(head).encode() + b"\n" + part)
            out.flush()

        def read():
            head = json.loads(reading.readline())
            return head, {name: reading.read(size) for name, size in head.get("parts", [])}

        ask({"id": 1, "ask": "hello"})
        answers["hello"] = read()[0]
        pixels = bytes(range(256)) * (WIDTH * HEIGHT * 3 // 256)
        content = {"width": WIDTH, "height": HEIGHT, "channels": 3}
        chosen = {"style": {"gallery": "wave-woodcut"}, "recipe": "draft", "size_px": 64, "steps": 4, "depth": 8}
        order = {"id": 2, "ask": "paint", "server": server, "content": content, **chosen}
        ask({**order, "parts": [["content", len(pixels)]]}, pixels)
        while True:
            head, parts = read()
            if head["event"] in ("done", "failed"):
                answers["painted"] = head
                answers["bytes"] = len(parts.get("pixels", b""))
                break
        helper.hang_up()
        answers["rest"] = reading.read().decode()
    answers["ended"] = helper.wait(20)
    answers["complaints"] = helper.complaints()
    helper.close()


try:
    talk(open_helper(plug_in))
except Refusal as refusal:
    answers["refused"] = str(refusal)
print(json.dumps(answers))
