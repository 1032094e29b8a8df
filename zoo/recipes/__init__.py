"""Experiments: each script opens with its command, cost and result."""
