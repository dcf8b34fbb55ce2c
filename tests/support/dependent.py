"""
A dependent service: a program that sees the public folder, read-only, and nothing else.

Run it as root with three arguments: the main volume, the public one, the API's base
URL. In a mount namespace of its own it hides the main volume, remounts the public one
read-only, reads the key there, and prints what it saw as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path


def _isolate(main: str, public: str) -> None:
    for command in (
        ["mount", "--make-rprivate", "/"],
        ["mount", "--bind", public, public],
        ["mount", "-o", "remount,bind,ro", public],
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", main],
    ):
        subprocess.run(command, check=True)


def _can_write(folder: Path) -> bool:
    try:
        (folder / "probe").write_text("")
    except OSError:
        return False
    return True


def main() -> None:
    """Look around as a dependent service does, and print what was seen."""
    main_volume, public_volume, base_url = sys.argv[1:]
    _isolate(main_volume, public_volume)
    public = Path(public_volume)
    key = json.loads((public / "credentials.json").read_text())["apiKey"]
    request = urllib.request.Request(
        f"{base_url}/models", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        models = json.loads(answer.read())["data"]
    print(
        json.dumps(
            {
                "public": sorted(item.name for item in public.iterdir()),
                "main": sorted(item.name for item in Path(main_volume).iterdir()),
                "can_write": _can_write(public),
                "models": [model["id"] for model in models],
            }
        )
    )


if __name__ == "__main__":
    main()
