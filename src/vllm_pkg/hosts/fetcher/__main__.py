"""The program: ``python -m vllm_pkg.hosts.fetcher``, as supervisord starts it."""

import os
import sys

from vllm_pkg.errors import ServiceError
from vllm_pkg.hosts.fetcher.program import run_fetcher
from vllm_pkg.settings import load_settings

if __name__ == "__main__":
    try:
        run_fetcher(load_settings(os.environ))
    except ServiceError as error:
        print(f"error: {error.message}; {error.hint}", flush=True)  # noqa: T201
        sys.exit(error.exit_code)
