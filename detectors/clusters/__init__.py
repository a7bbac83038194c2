"""Clusters of one scan, scored and checked for artefacts. Knows nothing of earlier scans."""
