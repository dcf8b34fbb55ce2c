"""Why an engine failed: a table of causes, and what reads a log with it."""
