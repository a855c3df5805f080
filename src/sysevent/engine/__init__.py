"""Sessions with guests: which scenario runs on which target, and when."""
