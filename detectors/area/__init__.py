"""An area as data: incidents, locations, neighbours, settings, strata. Independent of windows and scans."""
