"""The one-shot scan of a file of cases. Knows nothing of the sliding window."""
