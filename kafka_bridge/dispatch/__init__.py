"""From consumed records to runs, at least once.

An offset is committed only after its run succeeded, or after the dead-letter topic acknowledged the record; never past
a record of which neither is true.
"""
