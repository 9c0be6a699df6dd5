"""A stand-in of the helper that follows a script: the `server` of a request says how it behaves.

`echo` gives the content back, `ramp` a gradient of 16 bits, `slow` paints in steps until it is told otherwise,
`refuse` fails with a sentence, `verbose` with a long log, too, `die` ends without a word, `babble` breaks the protocol,
`silent` never says anything of a painting, `stopped` hangs. /t/hello.json has what `hello` says beside the usual.
"""

import array
import json
import os
import signal
import struct
import sys
import threading
import time
import zlib
from pathlib import Path

stdin, stdout = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
lock = threading.Lock()
HELLO = Path("/t/hello.json")
told = {}
log = open("/t/stand_in.log", "a", buffering=1)  # noqa: SIM115 (as long as the process)

RECIPES = [
    {"name": "painterly", "summary": "Coarse to fine.", "size_px": 512, "defaults": {"size_px": "512", "steps": "80"}},
    {"name": "draft", "summary": "A first look.", "size_px": 512, "defaults": {"size_px": "512", "steps": "20"}},
]
GALLERY = [
    {"name": f"style-{index}", "title": title, "description": "A style of the stand-in."}
    for index, title in enumerate(("Night", "Noon", "Ink", "Glass"))
]


WEIGHTS = [{"name": "original", "description": "With the server."}, {"name": "torchvision", "description": "Larger."}]


def tell(request, event, parts=None, **fields):
    head = {"id": request["id"], "event": event, **fields}
    if parts:
        head["parts"] = [[name, len(part)] for name, part in parts.items()]
    with lock:
        stdout.write(json.dumps(head).encode() + b"\n")
        for part in (parts or {}).values():
            stdout.write(part)
        stdout.flush()


def colours(content, pixels):
    """RGB of the content's pixels."""
    channels = content["channels"]
    if channels == 3:
        return bytes(pixels)
    together = bytearray(content["width"] * content["height"] * 3)
    for channel in range(3):
        together[channel::3] = pixels[channel::4]
    return bytes(together)


def paint(request, parts):
    content, mode = request["content"], request["server"]
    log.write(json.dumps({**request, "received": {name: len(part) for name, part in parts.items()}}) + "\n")
    if mode == "refuse":
        return tell(request, "failed", sentence="The server is on holiday: come back on Monday.", kind="ServerError")
    if mode == "die":
        print("somebody pulled the plug", file=sys.stderr)
        os._exit(3)
    if mode == "babble":
        stdout.write(b"this is no frame\n")
        stdout.flush()
        return None
    if mode == "silent":
        return None
    if mode == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
        # This thread may run on for a moment: the signal is the process's, and another thread may take it.
        return None
    if mode == "verbose":
        log_of_a_server = "\n".join(f"line {number} of a long log" for number in range(80))
        sentence = "The server is on holiday: come back on Monday."
        return tell(request, "failed", sentence=sentence, kind="ServerError", details=log_of_a_server)
    tell(request, "stage", stage="connecting")
    tell(request, "stage", stage="uploading")
    tell(request, "job", name="jobs/0", title="", recipe="draft", size_px=64)
    tell(request, "stage", stage="waiting", place=2)
    tell(request, "stage", stage="starting", device="cpu", attempt=1)
    steps = 60 if mode == "slow" else 2
    partial = False
    for step in range(1, steps + 1):
        wish = told.get(request["id"])
        if wish == "cancel":
            return tell(request, "cancelled")
        if wish == "keep":
            partial = True
            break
        if mode == "slow":
            time.sleep(0.1)
            shade = bytes((step * 4,)) * (64 * 48 * 3)
            tell(request, "preview", {"pixels": shade}, width=64, height=48, step=step)
            if step == 20:
                tell(request, "stage", stage="reconnecting", retry=1)
                time.sleep(0.3)
        # Not each step is told of: a fast device's newest takes the place of what nobody has read.
        if mode != "slow" or step % 4 == 0:
            tell(request, "progress", scale=1, scales=1, step=step, steps=steps, seconds_left=(steps - step) / 10)
    tell(request, "stage", stage="fetching")
    width, height, depth = content["width"], content["height"], request["depth"]
    answer = {"pixels": parts["content"]}
    if depth == 16:
        pixels = colours(content, parts["content"])
        samples = array.array("H", [value * 257 for value in pixels])
        if mode == "ramp":
            samples = array.array("H", [(index * 5) % 65536 for index in range(len(pixels))])
        answer = {"file": png(width, height, samples)}
    return tell(request, "done", answer, width=width, height=height, depth=depth, partial=partial, job="jobs/0")


def png(width, height, samples):
    """A file of RGB with 16 bits a channel."""
    samples.byteswap()
    data = samples.tobytes()
    rows = b"".join(b"\0" + data[start : start + width * 6] for start in range(0, len(data), width * 6))

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def answer(request, parts):
    match request["ask"]:
        case "hello":
            beside = json.loads(HELLO.read_text()) if HELLO.exists() else {}
            tell(request, "hello", **{"protocol": 3, "version": "0", "default_server": "local", **beside})
        case "server" if HELLO.exists() and "configuration_error" in HELLO.read_text():
            broken = json.loads(HELLO.read_text())["configuration_error"]
            tell(request, "failed", kind="ConfigurationError", **broken)
        case "server" if request.get("server") == "nowhere:1":
            tell(request, "failed", sentence="Nobody answers at nowhere:1.", kind="ServerUnavailableError")
        case "server":
            devices = [{"name": "cpu", "description": "A stand-in", "busy": False}]
            tell(request, "server", address="stand-in", version="0", devices=devices, queued_jobs=1, running_jobs=1,
                 round_trip_ms=1.5, max_size_px=2048, weights=WEIGHTS, recipes=RECIPES, gallery=GALLERY)  # fmt: skip
        case "thumbnails":
            for index, style in enumerate(GALLERY):
                tell(request, "thumbnail", {"pixels": bytes((index * 60, 90, 200 - index * 50)) * (96 * 72)},
                     name=style["name"], width=96, height=72)  # fmt: skip
            tell(request, "end")
        case "jobs":
            tell(request, "jobs", jobs=[])
        case "paint":
            threading.Thread(target=paint, args=(request, parts), daemon=True).start()
        case "keep" | "cancel" as wish:
            told[request["painting"]] = wish
        case "steer":
            log.write(json.dumps(request) + "\n")
            tell({"id": request["painting"]}, "steered", strength=request["strength"], smoothness=request["smoothness"])


while line := stdin.readline():
    request = json.loads(line)
    answer(request, {name: stdin.read(size) for name, size in request.pop("parts", [])})
os._exit(0)
