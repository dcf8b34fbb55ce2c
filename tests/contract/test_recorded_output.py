"""Giving a program our own output, and getting it back when nothing came of it."""

from __future__ import annotations

import os
import subprocess
import sys

# Says something to a reader, and something after it; the reader answers in capitals.
PROGRAM = """\
import os, sys
from vllm_pkg.engine.processes import recorded_output
reader = [{reader!r}, "-c", READER] if (READER := {text!r}) else ["/none/reader"]
try:
    with recorded_output(reader, os.environ, b"sesame") as identity:
        os.write(1, b"one ")
        os.write(2, b"two ")
        inside = [os.get_inheritable(number) for number in (1, 2)]
        if {fails!r}:
            raise ValueError("no exec")
except (OSError, ValueError) as error:
    print(type(error).__name__, flush=True)
os.waitpid(-1, 0) if READER else None
os.write(1, b"after ")
os.write(2, b"error")
"""
READER = """\
import os, signal, sys
text = sys.stdin.read().upper()
deaf = all(
    signal.getsignal(number) == signal.SIG_IGN
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
)
secret = open(int(sys.argv[1]), "rb").read()
own = secret not in open("/proc/self/cmdline", "rb").read()
print(text, deaf, os.getsid(0) == os.getpid(), secret, own, flush=True)
"""
HEARD = "ONE TWO  True True b'sesame' True"


def run(*, reader=READER, fails=False):
    """Run the program; return its stdout and its stderr."""
    code = PROGRAM.format(reader=sys.executable, text=reader, fails=fails)
    # Where it measures, coverage takes SIGTERM for itself.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout, done.stderr


def test_a_reader_gets_both_outputs():
    """Both outputs and a secret do, in its own session and deaf to what ends us."""
    assert run() == (f"{HEARD}\nafter ", "error")


def test_our_output_comes_back_after_an_error():
    """Where no exec follows, who started us hears us again."""
    out, err = run(fails=True)

    assert sorted(out.splitlines()) == [HEARD, "ValueError", "after "]
    assert err == "error"


def test_a_reader_that_cannot_be_started_is_told():
    """Our output is as it was."""
    assert run(reader="") == ("FileNotFoundError\nafter ", "error")
