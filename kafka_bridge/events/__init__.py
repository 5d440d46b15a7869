"""What a record, an event and an outcome are. Pure."""
