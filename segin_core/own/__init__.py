"""Your own pictures and data: what a folder holds, a training on it, the command `segin`."""
