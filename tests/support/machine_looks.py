"""What the portal sees of a machine, as a document."""

from __future__ import annotations

from typing import Any

GIB = 1024**3


def machine(**changes: Any) -> dict[str, Any]:
    """Return a look at a machine with one GPU."""
    return {
        "tier": "nvidia-older",
        "notes": [],
        "cpu": {"cores": 4, "percent": 25.0},
        "memory": {"totalBytes": 64 * GIB, "freeBytes": 16 * GIB},
        "disk": {"freeBytes": 200 * GIB, "totalBytes": 400 * GIB},
        "network": {"receivedBytesPerS": 2 * 1024**2, "sentBytesPerS": 1024**2},
        "gpus": [
            {
                "index": 0,
                "name": "Test GPU",
                "memoryGib": 24.0,
                "freeGib": 6.0,
                "busyPercent": 80,
                "temperatureC": 60,
                "powerW": 249.6,
            }
        ],
    } | changes
