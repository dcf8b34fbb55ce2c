"""``python -m vllm_pkg.portal``."""

from vllm_pkg.portal.program import main

if __name__ == "__main__":
    main()
