"""Asks kernels random sequences of actions, and compares their answers with the model of conformance/."""
