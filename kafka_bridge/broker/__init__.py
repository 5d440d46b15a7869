"""Kafka. `kafka.py` alone knows the client library, `bridge.py` alone starts native threads for a producer."""
