"""The history of many runs: claims over kernels and days. Logs are read as a stream, so that memory does not grow.

stream      the few fields of run.jsonl that a history needs, line by line
collection  what is kept of each run: a few bytes for each verdict
trend       one claim on one target: first bad, last good, how often it changed
"""
