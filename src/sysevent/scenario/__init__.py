"""Scenarios: steps to the bytes of a request, and the bytes of a reply to an observation. Nothing here does I/O."""
