"""An area as data: incidents, locations, neighbours, settings, strata. Knows neither windows nor scans."""
