"""Training and what it leaves: the loop, checkpoints, the identity of a result."""
