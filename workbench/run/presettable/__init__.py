"""The tables of the presets, one file a group, declarations only."""
