"""The event log: what came in lately and what became of it, kept in a slow key-value store without list, CAS or TTL.

Recent and best effort: bounded, and a failure of the store changes nothing for senders. What the store has acknowledged
is there after a kill. `log.EventLog` is one endpoint's; it belongs to one thread, and waits nowhere but in the store.
"""
