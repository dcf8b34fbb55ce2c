"""What can run: presets, fit, local models and the cache."""
