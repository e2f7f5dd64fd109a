"""TRL's built-in rewards, by its names and with its results."""
