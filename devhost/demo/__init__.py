"""`make demo`: what the plugin promises, shown on real parts and checked line by line.

A broker, the plugin's own process and the local host; senders that sign as the vendors do; a separate Kafka client
that reads every record back.
"""
