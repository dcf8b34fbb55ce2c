"""Home: is it working, and how is it used?"""

from vllm_pkg.portal.pages.home.page import register

__all__ = ["register"]
