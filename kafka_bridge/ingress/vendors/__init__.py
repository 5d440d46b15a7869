"""Rows of the table of schemes, by what their senders do. A vendor that is only data is a row and nothing else."""
