"""Faults of all kinds, each a named test with the same outcome every time."""
