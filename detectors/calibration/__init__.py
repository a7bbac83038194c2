"""How a false-alert rate is kept: null histories of an area are run through schedule, scan and tracker, and counted."""
