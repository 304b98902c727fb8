"""What happened on the telephone: channels folded into calls, calls into participations. No I/O, no clock."""
