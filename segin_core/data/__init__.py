"""Pairs of sketch and picture, from drawings, photographs and folders; how they are prepared and kept."""
