"""Fills calls that no connector watched in from a PBX's CDR: reads its table or file, puts what is missing into the
outbox. Blocking work is done in worker threads.

    settings.py  [[pbx]] cdr        table.py, files.py  where rows come from
    source.py    what a source is   filling.py          one pass over a span of time
"""
