"""Weights of other frameworks, converted and compared with the original."""
