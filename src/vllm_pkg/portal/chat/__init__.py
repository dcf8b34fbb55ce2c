"""Trying the served model: what is asked of the engine, and what comes back."""
