"""A local issuer of certificates, and the network that they are fetched from."""

from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.stand_ins import NOW

YEAR = timedelta(days=365)


@cache
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(*, valid_from=-YEAR, valid_until=YEAR, of=None):
    """As PEM; the times are relative to NOW."""
    now, name = datetime.fromtimestamp(NOW, UTC), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.example")])
    of = of or key()
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=of.public_key(),
        serial_number=1,
        not_valid_before=now + valid_from,
        not_valid_after=now + valid_until,
    )
    return builder.sign(of, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@cache
def good_certificate():
    return certificate()


class Web:
    """In the place of the network."""

    def __init__(self, answer=None):
        self.answer = good_certificate() if answer is None else answer
        self.asked = []

    def __call__(self, url):
        self.asked.append(url)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer
