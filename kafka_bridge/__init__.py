"""Kafka Bridge for Dify: signed webhooks become acknowledged Kafka records, Kafka records run workflows.

One line per module, lowest first; each imports only from lines above it (`tests/test_architecture.py`).

    errors                          every error, one tree
    http, clock, ratelimit          the words everybody uses
    events.record                   what a Kafka record is
    settings.{secret,table}         a text that must not be seen; names, labels and defaults of the settings
    settings.reader                 reads the platform's mapping, collects what is wrong
    settings.{pem,cluster,sources}  certificates from a single-line field; the connection; the senders
    settings.endpoint               all settings of an endpoint, parsed once
    events.envelope                 what an event is, and how it becomes a record
    events.outcome                  what became of one request; the Recorder port
    ingress.{content,patterns}      what is in a body; names with a star
    ingress.{signatures,templates}  verification by HMAC, as data; where an event goes
    ingress.{schemes,options}       who signs how: a row per vendor, and its parameters
    ingress.source                  one sender, compiled from its settings
    ingress.receive                 one request in, one Outcome out
    broker.{ports,causes,config}    the broker's interface, its errors in our words, its properties
    broker.{loops,greenlets,trust}  greenlets or threads; whose certificates are trusted
    broker.kafka                    the ports on confluent_kafka
    broker.{pump,batch,bridge}      a native thread per producer; what one caller has sent; one wake-up per report
    broker.registry                 who shares a producer
    dify.{hooks,call,journal}       a configured endpoint; one request to it; the log lines
    dify.{webhooks,health,routes}   the handlers, and the table of paths
    dify.http                       the platform's request and answer; the error boundary
    dify.app                        the composition root
"""

__version__ = "0.1.0"
