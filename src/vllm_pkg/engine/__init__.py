"""How the engine runs: command, daemon, processes."""
