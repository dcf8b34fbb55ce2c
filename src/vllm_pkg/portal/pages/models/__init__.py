"""Models: what could run here, and what is on the disk."""
