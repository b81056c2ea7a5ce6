"""A deterministic simulator of the exactness protocol: many owners, one broker, and all that can go wrong.

In: a schedule, made from a seed or written down. Out: nothing, or the invariant that was violated.
`python -m tests.simulator --schedules 1000000` runs many; `tests/property/test_simulator.py` runs some.
"""
