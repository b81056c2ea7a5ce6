"""`quetma bench`: benchmarks, as JSON lines.

In: names. Out: one object a line: name, events, seconds, events_per_second and more.
"""
