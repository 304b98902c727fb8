"""Recordings of calls: finding their files, waiting until they are complete, turning them into what browsers play."""
