"""Speed and memory, measured by turns in one run."""
