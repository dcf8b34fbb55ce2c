"""The bare-metal host: putting the engine beside the package with pip."""
