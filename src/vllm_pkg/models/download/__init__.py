"""Fetching models into the cache: what is needed, whether it fits, and the transfer."""
