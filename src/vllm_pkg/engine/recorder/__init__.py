"""The recorder: copies the engine's output, keeps its log, and tells how far it is."""
