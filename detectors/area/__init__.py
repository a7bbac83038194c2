"""An area as data: incidents, locations, neighbours, settings, strata. Knows nothing of windows or scans."""
