"""Machine: what it has, what uses it, and the processes of the service."""
