"""Machines as others have them: the commands of the README in bootstrapped distributions. No test of pytest."""
