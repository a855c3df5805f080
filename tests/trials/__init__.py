"""Faults that are injected into real runs, and what must hold for each of them."""
