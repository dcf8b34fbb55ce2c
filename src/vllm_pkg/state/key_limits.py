"""The largest figures that keys take; the command line's help needs no more of keys."""

from __future__ import annotations

from typing import Final

# For so many hours at most an old key stays valid.
KEEP_MAX_H: Final = 720
# After so many days at the latest a named key ends, if it ends at all.
EXPIRES_MAX_D: Final = 3650
