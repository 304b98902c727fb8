"""``uac-trio setup``: what is to be written so that a PBX and its connector work together. Pure: ``cli/setup.py`` asks
and writes."""
