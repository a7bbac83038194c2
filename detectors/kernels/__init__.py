"""All compiled loops, by purpose. Each has a slow, obvious twin of the same name in ``tests/naive``.

Shapes: ``L`` locations, ``D`` durations (rising), ``S`` strata, ``T`` intervals.
"""
