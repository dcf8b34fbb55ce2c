"""The page and the API of the service, in a process of its own beside the engine."""
