"""``vllm-pkg model``: whether a model fits, its download, and what is in the cache."""

from __future__ import annotations

from vllm_pkg.cli import model_cache, model_fit, model_pull
from vllm_pkg.cli.group import make_group

app = make_group("Fit, download, check and remove models.")
model_fit.register(app)
model_cache.register(app)
model_pull.register(app)
