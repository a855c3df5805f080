"""The search for the commit, or the release, that changed what a VMM reads."""
