"""Which commit, or which release, changed what a VMM reads."""
