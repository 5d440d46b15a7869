"""Kafka Bridge for Dify: signed webhooks become acknowledged Kafka records, Kafka records run workflows.

One line per module, lowest first; each imports only from lines above it (`tests/test_architecture.py`).

    errors                          every error, one tree
    http, clock, ratelimit          the words everybody uses
    events.record                   what a Kafka record is
    settings                        the platform's mapping, parsed once into frozen dataclasses
    events.envelope                 what an event is, and how it becomes a record
    ingress.{content,schemes,templates}   what is in a body; who signs how; where an event goes
    broker.{ports,causes,config}    the broker's interface, its errors in our words, its properties
    events.outcome                  what became of one request; the Recorder port
    ingress.source                  one sender, compiled from its settings
    ingress.receive                 one request in, one Outcome out
    broker.bridge                   one persistent producer: native poll thread, one wake-up per report
    broker.{loops,kafka,registry}   greenlets or threads; the ports on confluent_kafka; who shares a producer
    dify.{http,routes,endpoint}     the only code that knows dify_plugin
    dify.app                        the composition root
"""

__version__ = "0.1.0"
