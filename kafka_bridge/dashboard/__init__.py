"""The pages that a person sees: what they show, in which words, and how it is drawn.

`view` modules make plain values of what the bridge knows, `texts` has the words, `page` and its templates draw. Nothing
here knows HTTP handlers, storage or Kafka.
"""
