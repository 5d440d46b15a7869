"""`python -m devhost`: a module per command."""
