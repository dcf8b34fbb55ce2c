"""Keys: who may use the API."""
