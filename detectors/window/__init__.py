"""The sliding window: which incidents count, and when. It knows neither expected counts nor scans."""
