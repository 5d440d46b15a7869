"""The places of a setting into which a text that nobody may see can be pasted."""

import json

PLACES = {
    "itself": lambda marker: marker,
    "with spaces": lambda marker: f"  {marker} ",
    "in braces": lambda marker: f"{{body.{marker}}} {{",
    "in an array": lambda marker: json.dumps([marker, ""]),
    "in an object": lambda marker: json.dumps({"shop": marker, "default": marker, "linger.ms": marker}),
    "in an object of arrays": lambda marker: json.dumps({"shop": [marker, ""], "default": [marker, 1]}),
    "in broken JSON": lambda marker: '{"shop": "' + marker,
    "in a block": lambda marker: f"-----BEGIN CERTIFICATE----- {marker}* -----END CERTIFICATE-----",
    "as a label": lambda marker: f"-----BEGIN {marker.upper()}----- AAAA -----END {marker.upper()}-----",
    "as the wrong type": lambda marker: [marker],
    "as an app": lambda marker: {"id": marker},
    **{
        f"as {field}": lambda marker, field=field: json.dumps({"shop": {field: marker}, "default": {field: [marker]}})
        for field in ("scheme", "secret", "topic", "key", "scheme_options")
    },
    **{
        f"as option {option}": lambda marker, option=option: json.dumps({"shop": {"scheme_options": {option: marker}}})
        for option in ("header", "algorithm", "encoding", "key_encoding", "template", "timestamp", "id", "type")
    },
}
