"""The platform's mapping of settings, parsed once at the edge into frozen dataclasses. Pure.

No dict of settings passes this line: `endpoint.parse` gives an `EndpointSettings`, whose `problems` name every
wrong setting by the label that the operator sees.
"""
