"""Whether a model fits a machine, before a byte of it is downloaded."""
