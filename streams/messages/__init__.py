"""The content of every record, and its wording for people. Knows nothing of where records come from."""
