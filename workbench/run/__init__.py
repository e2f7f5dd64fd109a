"""Config, knobs, records, run folders and the runner: the contracts, and the life of a run. Never torch."""
