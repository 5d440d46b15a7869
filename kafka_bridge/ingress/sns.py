"""Amazon SNS: messages signed with RSA, by a certificate that is fetched from SNS itself. Pure: the world is a port.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html

Some fields are signed, not the body: what else it has (MessageAttributes, UnsubscribeURL) anybody may have written.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import orjson

from kafka_bridge.errors import Unverified
from kafka_bridge.http import JSON, PROBLEM_JSON, Outbound, json_reply
from kafka_bridge.ingress.certificates import Certificates
from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.ingress.handshakes import NoHandshake
from kafka_bridge.ingress.keys import BadSecret, b64decode, secrets_of
from kafka_bridge.ingress.outside import NOWHERE, FetchFailed, Outside
from kafka_bridge.ingress.signatures import TOLERANCE_S
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.sources import SourceSecret

# The time is that of the publication, and stays the same when SNS tries again, which it may do for an hour.
MAX_AGE_S: Final = 86_400

_SUBSCRIPTION: Final = "SubscriptionConfirmation"
_CONFIRMATION: Final = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
        _SUBSCRIPTION: _CONFIRMATION,
        "UnsubscribeConfirmation": _CONFIRMATION,
    }
)
_OPTIONAL: Final = "Subject"
# Signed in messages of every type.
_COVERED: Final = frozenset(("Message", "MessageId", "Timestamp", "TopicArn", "Type"))

# The whole of a URL, so that nothing else can be in it: no user, no port, no escapes. A region, not any label:
# sns.s3-us-west-2.amazonaws.com is a bucket of somebody's.
_HOST: Final = r"https://sns\.[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?"
_CERTIFICATE_URL: Final = re.compile(_HOST + r"/[A-Za-z0-9_-]{1,200}\.pem", re.ASCII)
_SUBSCRIBE_URL: Final = re.compile(_HOST + r"/\?Action=ConfirmSubscription&[A-Za-z0-9&=:%._~+-]{1,2048}", re.ASCII)
_ARN: Final = re.compile(r"arn:aws(?:-[a-z]+)*:sns:[a-z0-9-]{1,40}:[0-9]{12}:[A-Za-z0-9_.-]{1,256}", re.ASCII)


@dataclass(frozen=True)
class Sns:
    """The secret of a source is the ARN of its topic: every topic of every account is signed by the same keys."""

    outside: Outside = NOWHERE

    def within(self, outside: Outside) -> "Sns":
        """In a world where SNS is reached."""
        return replace(self, outside=outside)

    def covers(self, location: Location) -> bool:
        """Whether a value at `location` is under the signature."""
        return location.in_body and location.name in _COVERED

    def shows(self, _location: Location) -> bool:
        """Whether a secret stands at a place: a topic's ARN is none."""
        return False

    def verifier(self, secret: SourceSecret) -> "SnsVerifier":
        """With the topics of one source. Raises BadSecret, also for none."""
        return SnsVerifier(secret, self.outside)

    def handshake(self, secret: SourceSecret) -> "SnsConfirmation":
        """The confirmation of subscriptions of one source."""
        return SnsConfirmation(secret, self.outside)


class SnsVerifier:
    """`Sns` with the topics of one source, and the certificates that were fetched for them."""

    def __init__(self, secret: SourceSecret, outside: Outside) -> None:
        """Raises BadSecret."""
        self._topics = tuple(Secret(topic.reveal().strip()) for topic in secrets_of(secret))
        if not all(_ARN.fullmatch(topic.reveal()) for topic in self._topics):
            raise BadSecret("must be the ARN of the topic, arn:aws:sns:REGION:ACCOUNT:NAME, or an array of them")
        self._certificates = Certificates(outside)

    def verify(self, content: Content, *, now: float) -> Content:
        """The message as it was verified: a field that was written twice stands there once.

        Raises Unverified, CertificateUnreachable.
        """
        message = content.document
        if content.inbound.header("x-amz-sns-rawdelivery") == "true":
            raise Unverified("a raw delivery is not signed: switch raw message delivery off in the subscription")
        if not isinstance(message, dict):
            raise Unverified("the body is not a JSON object")
        signed = _canonical(message)
        # Everything that costs nothing is checked before a certificate is fetched.
        if not any(topic.matches(message["TopicArn"]) for topic in self._topics):
            raise Unverified("the message is of another topic than those of the settings")
        _check_time(message["Timestamp"], now)
        version, signature = message.get("SignatureVersion"), message.get("Signature")
        if not isinstance(version, str) or version not in {"1", "2"} or not isinstance(signature, str):
            raise Unverified("no signature of version 1 or 2")
        try:
            raw = b64decode(signature)
        except ValueError as error:
            raise Unverified("the signature is not base64") from error
        url = message.get("SigningCertURL")
        if not isinstance(url, str) or not _CERTIFICATE_URL.fullmatch(url):
            raise Unverified("the certificate is not at SNS")
        certificate = self._certificates.get(url, now=now)
        certificate.check(raw, signed, sha1=version == "1")
        self._certificates.proved(url, certificate)
        try:
            return content.opened(orjson.dumps(message), message, JSON)
        except orjson.JSONEncodeError as error:
            raise Unverified("not a message of SNS: what it has beside the signed fields is too deep") from error


class SnsConfirmation(NoHandshake):
    """A subscription is confirmed by a GET of the URL in the verified message."""

    def __init__(self, secret: SourceSecret, outside: Outside) -> None:
        super().__init__(secret)
        self._outside = outside

    def signed(self, content: Content) -> Outbound | None:
        if content.text_at(("Type",)) != _SUBSCRIPTION:
            return None
        url = content.text_at(("SubscribeURL",)) or ""
        if not _SUBSCRIBE_URL.fullmatch(url):
            return _not_confirmed("The SubscribeURL is not at SNS.")
        try:
            self._outside.fetch(url)
        except FetchFailed as error:
            return _not_confirmed(f"The SubscribeURL cannot be fetched: {error}.")
        return json_reply({"status": "confirmed"})


def _not_confirmed(detail: str) -> Outbound:
    """An answer upon which SNS tries again."""
    status = HTTPStatus.BAD_GATEWAY
    document = {
        "type": "urn:kafka-bridge:not-confirmed",
        "title": "The subscription could not be confirmed",
        "status": status.value,
        "detail": detail,
    }
    return Outbound(status, orjson.dumps(document), PROBLEM_JSON)


def _canonical(message: Mapping[str, object]) -> bytes:
    """What is signed: names and values, each with a line feed. Raises Unverified."""
    kind = message.get("Type")
    names = _SIGNED.get(kind) if isinstance(kind, str) else None
    if names is None:
        raise Unverified("not a message of SNS: its Type is none of theirs")
    lines: list[str] = []
    for name in names:
        value = message.get(name)
        if value is None and name == _OPTIONAL:
            continue
        if not isinstance(value, str):
            raise Unverified(f"not a message of SNS: {name} is missing or no text")
        lines += (name, value)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")


def _check_time(text: str, now: float) -> None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Unverified("the timestamp is not ISO 8601") from error
    if moment.tzinfo is None:
        raise Unverified("the timestamp has no time zone")
    age = now - moment.timestamp()
    if not -TOLERANCE_S <= age <= MAX_AGE_S:
        which = f"{age:.0f} s old" if age > 0 else f"{-age:.0f} s ahead of our clock"
        raise Unverified(f"the timestamp is {which}; the message may be {MAX_AGE_S} s old")
