"""All compiled loops, by what they are for. Each has a slow, obvious twin of the same name in ``tests/naive``.

Shapes: ``L`` locations, ``D`` durations (rising), ``S`` strata, ``T`` intervals. Neighbour rows are compressed: those
of centre ``i`` are ``index[start[i]:start[i + 1]]``, itself first, of which the first ``size[i]`` may form zones.
"""
