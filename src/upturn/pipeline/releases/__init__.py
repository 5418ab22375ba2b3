"""Which version is the champion: moves, what a kill left of them, names and differences."""
