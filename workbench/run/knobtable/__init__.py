"""The table of the knobs, in the order of the path of the data: one file a stage, declarations only."""
