"""What every record says, and its wording for people. Knows nothing of where records come from."""
