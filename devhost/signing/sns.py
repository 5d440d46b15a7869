"""Amazon SNS, with an issuer of our own: only who trusts its certificate takes the messages."""

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from devhost.signing.draft import Draft, SecretValue, Signed, object_of
from devhost.signing.keys import texts

CERTIFICATE_URL: Final = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-sample.pem"


@cache
def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def sns_certificate() -> bytes:
    """The certificate of our own messages, as PEM: what a fetch of `CERTIFICATE_URL` is to give in a test."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(_rsa_key().public_key())
    start = datetime(2001, 1, 1, tzinfo=UTC)
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + timedelta(days=36_500))
    return builder.sign(_rsa_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def sns(secret: SecretValue, draft: Draft) -> Signed:
    """A message of our own making: only who trusts `sns_certificate` takes it."""
    message = object_of(draft.body)
    moment = datetime.fromtimestamp(draft.now, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    message = {"Type": "Notification", "Message": "", "MessageId": draft.event_id} | message
    message |= {"TopicArn": texts(secret)[0].strip(), "Timestamp": moment, "SignatureVersion": "2"}
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    if message["Type"] == "Notification":
        names = [name for name in names if name not in {"SubscribeURL", "Token"}]
    data = "".join(f"{name}\n{message[name]}\n" for name in names if name in message).encode()
    signature = _rsa_key().sign(data, padding.PKCS1v15(), hashes.SHA256())
    message |= {"Signature": base64.b64encode(signature).decode(), "SigningCertURL": CERTIFICATE_URL}
    headers = {**draft.headers, "content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": message["Type"]}
    return Signed(headers, json.dumps(message).encode(), draft.url)
