"""The sliding window: which incidents count, and from when to when. Knows neither expected counts nor scans."""
