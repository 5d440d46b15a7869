"""Signs a request as any sender of the plugin's table does, the row being all that is known of the sender.

The reverse of the plugin's verification: what a row says is read here a second time.

    draft       a request that is being made
    keys        keys as a row reads them out of a secret
    signature   senders that sign: what the template says
    token       senders that show a secret
    sealed      senders that encrypt
    sns         Amazon SNS, with an issuer of our own
    rows        what the sender of a row makes of a body
    samples     a sample of every row
    event_type  another event type in a request
"""

from devhost.signing.draft import CannotSign, Draft, SecretValue, Signed, content_type_of
from devhost.signing.event_type import with_type
from devhost.signing.rows import public_part, row, sign, sign_row
from devhost.signing.samples import sample_body, sample_headers, sample_secret
from devhost.signing.sns import CERTIFICATE_URL, sns_certificate

__all__ = [
    "CERTIFICATE_URL",
    "CannotSign",
    "Draft",
    "SecretValue",
    "Signed",
    "content_type_of",
    "public_part",
    "row",
    "sample_body",
    "sample_headers",
    "sample_secret",
    "sign",
    "sign_row",
    "sns_certificate",
    "with_type",
]
