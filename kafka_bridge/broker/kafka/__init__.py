"""The ports on confluent_kafka: the only package that knows the client library, and nothing of gevent."""
