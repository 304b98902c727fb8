"""HTTP for vTiger and for supervisors: Quart-Trio under hypercorn."""
