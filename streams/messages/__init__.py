"""The content of every record, and its wording for people. Does not know where records come from."""
