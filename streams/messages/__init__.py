"""The content of every record, and how it is worded for people. Knows nothing of where records come from."""
