"""``python -m vllm_pkg`` is ``vllm-pkg``."""

from vllm_pkg.cli.main import run

if __name__ == "__main__":
    run()
