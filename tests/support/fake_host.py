"""A whole host, with supervisord and its keeper, over an engine that is a fake."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support.fake_vllm import FakeVllm, make_fake_vllm
from support.service import Service, free_port
from vllm_pkg.engine import processes
from vllm_pkg.engine.exit_report import START_MARK

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class FakeHost(Service):
    """
    A service whose engine is the fake of `support.fake_vllm`.

    Args:
        variables: What the environment of its programs has besides.
    """

    variables: dict[str, str] = field(default_factory=dict)

    @property
    def fake(self) -> FakeVllm:
        """The fake engine."""
        return FakeVllm(self.folder / "fake")

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this instance."""
        return super().environment | {"VLLM_PKG_VARIANT": "cpu"} | self.variables

    def select_model(self) -> None:
        """Select a folder that only the fake engine takes for a model."""
        model = self.folder / "model"
        model.mkdir()
        (model / "config.json").write_text("{}")
        self.main.mkdir(exist_ok=True)
        store = {"serveArgs": [str(model)]}
        (self.main / "store.json").write_text(json.dumps(store))

    def spawn(self) -> subprocess.Popen[str]:
        """Start the host in the group of the tests, and wait for nothing."""
        with (self.folder / "run.log").open("a") as log:
            self.process = subprocess.Popen(
                [*self.program, "run", "--port", str(self.port)],
                env=self.environment,
                stdout=log,
                stderr=log,
                text=True,
            )
        return self.process

    def engines(self) -> list[int]:
        """Return the processes of the engine."""
        found = processes.find_engine_processes(processes.instance_id(self.main))
        return [process.pid for process in found]

    def starts(self) -> int:
        """Return how often the engine was started."""
        return len(self.fake.starts())

    def failure(self) -> dict[str, Any] | None:
        """Return the record of the last failure, if there is one."""
        file = self.main / "run" / "last-failure.json"
        return json.loads(file.read_text()) if file.exists() else None

    def final_failure(self) -> dict[str, Any] | None:
        """Return the record of a failure after which nothing is tried any more."""
        failure = self.failure()
        return failure if failure and failure["is_final"] else None

    def daemon_starts(self) -> int:
        """Return how often the daemon was started, whatever came of it."""
        log = self.main / "logs" / "engine.log"
        return log.read_text(errors="replace").count(START_MARK)

    def served(self) -> str:
        """Return the model that the last start of the engine was given."""
        argv: list[str] = self.fake.starts()[-1]["argv"]
        return argv[argv.index("serve") + 1]

    def selected(self) -> str:
        """Return the model that is selected."""
        store = json.loads((self.main / "store.json").read_text())
        return str(store["serveArgs"][0])

    def is_watched(self, start: int) -> bool:
        """Whether the keeper has looked at the engine's counters since that start."""
        started = [
            json.loads(path.read_text())["started_s"]
            for name in ("start", "progress")
            if (path := self.main / "run" / f"{name}.json").exists()
        ]
        return self.starts() == start and len(started) == 2 and len(set(started)) == 1

    def observed_s(self) -> float:
        """Return when the keeper last looked at the counters, in seconds since boot."""
        record = json.loads((self.main / "run" / "progress.json").read_text())
        return float(record["progress"]["observed_s"])

    def destroy(self) -> None:
        """End everything, whatever a test has left."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        processes.end_engine_processes(processes.instance_id(self.main), 1.0)


def make_fake_host(folder: Path) -> FakeHost:
    """Return a host whose volumes do not exist yet."""
    fake = make_fake_vllm(folder / "fake")
    return FakeHost(folder, free_port(), fake.program)
