"""The daemon: ``uac-trio run``, and ``uac-trio serve-recordings``."""
