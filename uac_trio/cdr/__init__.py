"""What an Asterisk wrote down of calls that no connector watched: CDR and CEL rows in, facts about calls out. No I/O.

row.py, cel.py      a stored row as a value, columns found by name
layout.py           which columns a file without a header has
zone.py             the moment of a row, which holds a wall clock without its zone
grouping.py         which rows are of one call, and which calls are over
reading.py          what a row shows, and what it only seems to show
people.py           whose devices the rows name
call_rows.py        what they show beside one another
from_rows.py        rows as the channel events that the call model reads
from_cel.py         the same of a PBX that keeps CEL
facts.py            one call's rows through the call model
missing.py          what of it was not delivered yet
"""
