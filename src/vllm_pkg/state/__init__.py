"""The state library: every file the service keeps, and how it survives crashes."""
