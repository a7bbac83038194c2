"""The data of an area: incidents, locations, neighbours, settings, strata. Knows neither windows nor scans."""
