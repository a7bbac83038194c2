"""The clusters of one scan, scored and checked for artefacts. Knows no earlier scans."""
