"""What a person can do with the service: one file per action."""
