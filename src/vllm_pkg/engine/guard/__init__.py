"""
The guard: middleware inside vLLM's own process that nobody passes without a key.

Here stand the names that the daemon and the guard agree on; the rest is imported by the
engine alone.
"""

from typing import Final

GUARD: Final = "vllm_pkg.engine.guard.middleware.Guard"
# The daemon sets these for the engine; they are no settings of a person.
ENGINE_KEY_ENV: Final = "VLLM_PKG_GUARD_KEY"
CORS_ENV: Final = "VLLM_PKG_GUARD_CORS"
