"""The threads beside the engine. They know nothing of Faust."""
