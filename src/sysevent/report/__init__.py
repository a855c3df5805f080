"""What a run has recorded in run.jsonl, and everything that is rendered from it."""
