"""Measurements: milestones of a guest, the cost of a scenario, whole runs, and peers for comparison."""
