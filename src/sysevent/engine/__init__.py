"""Conversations with guests: which one is asked what, and when."""
