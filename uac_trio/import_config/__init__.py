"""``uac-trio import-config``: the configuration of an earlier connector as one of uac-trio. Pure."""
