"""The threads beside the engine. Knows nothing of Faust."""
