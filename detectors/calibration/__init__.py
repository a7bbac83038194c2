"""How a false-alert rate is kept: null histories of an area's own past, run through the schedule, scored, counted."""
