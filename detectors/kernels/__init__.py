"""All compiled loops, by purpose. Each has a slow, obvious twin of the same name in ``tests/naive``.

A kernel calls only its own file and ``ratio.py``, because numba's cache does not notice an edited helper in another
file. So these files can be longer than others.

Shapes: ``L`` locations, ``D`` durations (rising), ``S`` strata, ``T`` intervals.
"""
