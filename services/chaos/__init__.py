"""Chaos: a whole Quetma under faults from a seed, and whether its books are exact afterwards."""
