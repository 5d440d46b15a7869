"""Whose certificates are trusted where the settings name no CA of their own."""

import os
from typing import Final

# The client library carries an OpenSSL of its own, whose built-in path exists on no machine of ours.
_SYSTEM: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def default_ca_file() -> str:
    """`SSL_CERT_FILE`, else the system's bundle, else the one that comes with certifi."""
    for path in (os.environ.get("SSL_CERT_FILE", ""), *_SYSTEM):
        if path and os.path.isfile(path):  # noqa: PTH113
            return path
    import certifi  # noqa: PLC0415 - only where the system has no bundle

    return certifi.where()
