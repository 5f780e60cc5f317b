"""The VETime network: its parts, its weights on disk, and what of a series it reads."""
