"""
A fake of the program ``vllm``, in a copy of this Python environment.

It is a fake because a real engine takes a minute to start, cannot be made to end with a
given exit code, and does not tell what it was started with. The daemon looks for
``vllm`` beside its own Python, so the fake stands in a folder with a second name for
the same interpreter and the same packages; everything but the engine is the real one.

Each start appends one line of JSON to a file. The fake then ends with the next of the
exit codes that the test has set, or as a recorded log ends unless the cure for it is
among its arguments, or answers every GET with 200 until it is ended. FAKE_MODE is how
it misbehaves: "deaf" has it ignore SIGTERM, "leave" has it leave a process that does.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROGRAM = """\
#!{python} -IS
import http.server, itertools, json, os, signal, socketserver, sys

with open("/proc/self/cmdline") as stream:
    argv = stream.read().split("\\0")[:-1]
blocked = [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])]
start = dict(pid=os.getpid(), argv=argv, env=dict(os.environ), blocked=blocked)
with open({starts!r}, "a") as stream:
    stream.write(json.dumps(start) + "\\n")
with open({exits!r}) as stream:
    codes = stream.read().split()
mode = os.environ.get("FAKE_MODE")
if codes:
    with open({exits!r}, "w") as stream:
        stream.write(" ".join(codes[1:]))
    if mode == "leave":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
            signal.alarm(120)
            signal.pause()
    print("FakeError: told to end with " + codes[0], flush=True)
    sys.exit(int(codes[0]))

log = os.environ.get("FAKE_LOG")
if log and os.environ["FAKE_CURE"] not in " ".join(argv):
    with open(log) as stream:
        print(stream.read(), flush=True)
    sys.exit(1)

if mode == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if mode == "exit":
    print("FakeError: its weights are damaged", flush=True)
    sys.exit(2)
if mode == "tell":
    # As vLLM tells, when it ends, who holds the port: with the whole command line.
    text = "port 8000 is used by a process launched with command:\\n" + " ".join(argv)
    for part in (text[:-9], text[-9:], "\\n"):
        print(part, end="", flush=True)
if mode == "hang":
    signal.pause()
name = argv[argv.index("serve") + 1]
if "--served-model-name" in argv:
    name = argv[argv.index("--served-model-name") + 1]

numbers = itertools.count()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(500 if mode == "refuse" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if self.path == "/v1/models":
            models = dict(data=[dict(id=name)])
            self.wfile.write(json.dumps(models).encode())
        if self.path == "/metrics" and os.path.exists({metrics!r}):
            with open({metrics!r}) as stream:
                text = stream.read().replace("NEXT", str(next(numbers)))
            self.wfile.write(text.encode())
    def log_message(self, *arguments):
        pass

class Server(socketserver.TCPServer):
    allow_reuse_address = True

host, port = (argv[argv.index(name) + 1] for name in ("--host", "--port"))
Server((host, int(port)), Handler).serve_forever()
"""


@dataclass(frozen=True)
class FakeVllm:
    """
    A Python environment with the fake engine.

    Args:
        folder: Where it stands.
    """

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter beside which the fake engine is."""
        return self.folder / "bin" / "python"

    @property
    def program(self) -> tuple[str, ...]:
        """How the program under test is called in it."""
        return (str(self.python), "-m", "vllm_pkg")

    @property
    def vllm(self) -> Path:
        """The fake program itself."""
        return self.folder / "bin" / "vllm"

    def set_exits(self, *codes: int) -> None:
        """Let the next starts end with these exit codes, one each."""
        text = " ".join(str(code) for code in codes)
        (self.folder / "exits").write_text(text)

    def set_metrics(self, text: str) -> None:
        """
        Let ``/metrics`` answer with a text; empty: with nothing, as at first.

        NEXT in it is another number each time.
        """
        (self.folder / "metrics").write_text(text)

    def starts(self) -> list[dict[str, Any]]:
        """Return what each start so far was given."""
        text = (self.folder / "starts").read_text()
        return [json.loads(line) for line in text.split("\n")[:-1]]


def make_fake_vllm(folder: Path) -> FakeVllm:
    """Write the environment into *folder*, which does not exist yet."""
    fake = FakeVllm(folder)
    (folder / "bin").mkdir(parents=True)
    (folder / "lib").symlink_to(Path(sys.prefix) / "lib")
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", folder)
    fake.python.symlink_to(Path(sys.executable).resolve())
    text = _PROGRAM.format(
        python=sys.executable,
        starts=str(folder / "starts"),
        exits=str(folder / "exits"),
        metrics=str(folder / "metrics"),
    )
    fake.vllm.write_text(text)
    fake.vllm.chmod(0o755)
    (folder / "starts").write_text("")
    fake.set_exits()
    return fake
