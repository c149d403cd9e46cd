"""LeNets as compressed files: the classic recipe, and the fewest bytes."""
