"""The pages, one module each; each has ``register``, which adds its routes."""
