"""From consumed records to runs, at least once. Pure but for what carries it out.

An offset is committed only after its run succeeded, or after the dead-letter topic acknowledged the record, and never
past a record that is neither.
"""
