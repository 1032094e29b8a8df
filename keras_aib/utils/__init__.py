"""Shared helpers that know neither layers nor models."""
