"""
A dependent service: a program that sees the public folder, read-only, and nothing else.

Run it as root below ``unshare --mount``. It makes an empty folder its whole file
system, with the public folder in it as StartOS mounts it, becomes the user that it is
told, and prints as JSON what it saw. It imports everything first: no Python is there.
"""

from __future__ import annotations

import argparse
import encodings.idna  # noqa: F401  # a connection encodes its address with it
import http.client
import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _enter(root: str, folders: dict[str, str], uid: int) -> None:
    """See nothing but some folders, read-only, and be somebody."""
    _mount("--make-rprivate", "/")
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root)
    for name, folder in folders.items():
        place = f"{root}/{name}"
        Path(place).mkdir()
        _mount("--bind", folder, place)
        _mount("-o", "remount,bind,ro", place)
    _mount("-o", "remount,ro", root)
    os.chroot(root)
    os.chdir("/")
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def _can_write(folder: Path) -> bool:
    try:
        (folder / "probe").write_text("")
    except OSError:
        return False
    return True


def _readable(folder: Path) -> list[str]:
    """Return the names of the files in a folder that this user can read."""
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                path.read_bytes()
                found.append(path.relative_to(folder).as_posix())
        except OSError:
            continue
    return sorted(found)


def _models(base_url: str, key: str) -> list[str]:
    address = urlsplit(base_url)
    connection = http.client.HTTPConnection(address.netloc, timeout=10)
    headers = {"Authorization": f"Bearer {key}"}
    connection.request("GET", f"{address.path}/models", headers=headers)
    answer = connection.getresponse().read()
    return [model["id"] for model in json.loads(answer)["data"]]


def main() -> None:
    """Look around as a dependent service does, and print what was seen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True, help="an empty folder")
    parser.add_argument("--public", required=True)
    parser.add_argument("--main", help="mounted beside it, to see what is readable")
    parser.add_argument("--uid", type=int, default=0)
    parser.add_argument("--url", help="of the API, to ask for its models")
    options = parser.parse_args()
    folders = {"public": options.public}
    if options.main:
        folders["main"] = options.main
    _enter(options.root, folders, options.uid)
    public = Path("/public")
    seen: dict[str, Any] = {
        "uid": os.getuid(),
        "root": sorted(item.name for item in Path("/").iterdir()),
        "public": _readable(public),
        "main": _readable(Path("/main")),
        "can_write": _can_write(public),
    }
    if options.url:
        key = json.loads((public / "credentials.json").read_text())["apiKey"]
        seen["models"] = _models(options.url, key)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
