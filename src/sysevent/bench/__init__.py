"""How fast it is: milestones of a guest, cost of a scenario, and what others need for the same."""
