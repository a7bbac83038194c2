"""Clusters of one scan, scored and checked for artefacts. They know no earlier scans."""
