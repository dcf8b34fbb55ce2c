"""What is asked of the service and done to it, for the CLI and the portal alike."""
