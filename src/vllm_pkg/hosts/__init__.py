"""What supervises the engine where no operating system does it."""
