"""What this machine is: GPUs, memory, and the tier they make."""
