"""The sliding window: which incidents count, and when. Knows neither expected counts nor scans."""
