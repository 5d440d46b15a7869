"""The figures of docs/performance.md, each beside its peers in the same run.

driver     drives a plugin process over stdio, closed or open loop, and weighs it
plugins    the peers as plugin folders: the SDK's no-op endpoint, a producer that flushes per request
rows       what is measured, and against what
dispatch   parallel dispatch beside parallel-consumer and its bound, on a real Kafka
runs       workflows through the plugin, beside what so many at once allow
__main__   `python -m bench`
"""
