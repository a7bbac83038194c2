"""The one-shot scan of a file of cases. Nothing here knows the sliding window."""
