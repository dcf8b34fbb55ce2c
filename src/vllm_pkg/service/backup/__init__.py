"""Backups of the service's state, and of its models when that is wanted."""
