"""The durable outbox: every delivery is a row here before it is sent, and until long after.

The same tables in SQLite (one file, no set-up) and in PostgreSQL (several connectors at once). Keys drop doubles,
leases keep the order within a call, states and times in the row survive whatever happens to us.
"""
