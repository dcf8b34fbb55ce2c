"""Logs as a person reads them: collapsed as on a terminal, filtered, searched."""
