"""Records sent to a system under test, at the pace that was asked for: what `quetma replay` and `quetma load` do.

In: a source of records that others have made, or a scenario. Out: records at a target, each when it was due, and the
proof of it. Data flows one way:

    source → transforms → arrivals → dispatch → target
                                        └─ recorder ─┘ → report

Every load is open: a record is due whether or not those before it have been answered, and what it waits for is counted
from when it was due.
"""
