"""``vllm-pkg run`` as a real process, with a real supervisord and a fake engine."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import psutil

from support.service import Service
from support.waiting import wait_until

if TYPE_CHECKING:
    import signal
    from pathlib import Path

    from support.fake_vllm import FakeVllm

# What runs beside the engine, and beside a daemon that idles.
RUNNING = {
    "serve": (
        *("run", "supervisord", "keeper", "fetcher", "portal"),
        *("recorder", "serve"),
    ),
    "daemon": ("run", "supervisord", "keeper", "fetcher", "portal", "daemon"),
}


class Host(Service):
    """A service with a fake engine, and a folder of its own for temporary files."""

    fake: FakeVllm
    temporary: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this instance."""
        return super().environment | {
            "TMPDIR": str(self.temporary),
            "VLLM_PKG_VARIANT": "cpu",
            # Nothing is fetched: the fake engine needs no weights.
            "HF_HUB_OFFLINE": "1",
        }

    def select(self, *serve_args: str) -> None:
        """Select a model before the start."""
        self.main.mkdir(exist_ok=True)
        document = {"serveArgs": list(serve_args)}
        (self.main / "store.json").write_text(json.dumps(document))

    @property
    def log(self) -> str:
        """What the foreground has shown."""
        return (self.folder / "run.log").read_text()

    def wait_shown(self, text: str, count: int = 1) -> None:
        """Wait until the foreground has shown a text so many times."""
        wait_until(lambda: self.log.count(text) >= count, 20, text)

    def processes(self) -> dict[str, psutil.Process]:
        """Return every process over our volumes, by what it is."""
        found = {}
        for process in psutil.process_iter():
            try:
                if process.environ().get("VLLM_PKG_MAIN") == str(self.main):
                    found[_role(process.cmdline())] = process
            except (psutil.Error, OSError):
                continue
        return found

    def wait_processes(self, *roles: str) -> dict[str, psutil.Process]:
        """Wait until exactly these processes run."""

        def reached() -> dict[str, psutil.Process] | None:
            found = self.processes()
            return found if set(found) == set(roles) else None

        return wait_until(reached, 20, f"just {roles}")

    def wait_none(self) -> None:
        """Wait until no process over our volumes runs."""
        wait_until(lambda: not self.processes(), 20, "no process")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the foreground process."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait_end(self) -> int:
        """Wait for the foreground process and return its exit code."""
        assert self.process is not None
        return self.process.wait(20)

    def end(self, number: signal.Signals) -> int:
        """Send a signal to the foreground process and return its exit code."""
        self.send(number)
        return self.wait_end()

    def spawn(self) -> None:
        """Start it and wait for nothing, not even for its record."""
        with (self.folder / "run.log").open("a") as log:
            self.process = subprocess.Popen(
                [*self.program, "run", "--port", str(self.port)],
                env=self.environment,
                stdout=log,
                stderr=log,
                text=True,
            )

    def assert_clean(self) -> None:
        """Nothing of it is left, but what shall outlive it."""
        assert self.processes() == {}
        assert not (self.main / "run" / "host.json").exists()
        assert not (self.main / "run" / "start.json").exists()
        assert list(self.temporary.iterdir()) == []


def _role(argv: list[str]) -> str:
    # Commands and ends of modules: folders of tests may have any word in their names.
    words = {word.rpartition(".")[2] for word in argv if "/" not in word}
    for role in (
        "portal",
        "serve",
        "daemon",
        "keeper",
        "supervisord",
        "recorder",
        "fetcher",
        "run",
    ):
        if role in words:
            return role
    return " ".join(argv)
