"""Senders that encrypt, or sign with a certificate: the record's value is what was inside. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kafka_bridge.ingress.encrypted import DingTalk, DingTalkAnswers, WeCom, WeComAnswers
from kafka_bridge.ingress.feishu import Feishu, FeishuChallenge
from kafka_bridge.ingress.scheme import Scheme, ids, types
from kafka_bridge.ingress.signing import UNIQUE_S
from kafka_bridge.ingress.sns import Sns

ROWS: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        # https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/encrypt-key-encryption-configuration-case
        "feishu": Scheme(
            proof=Feishu(),
            type=types("body:header.event_type", "body:event.type"),
            id=ids("body:header.event_id", "body:uuid"),
            dedupe_s=UNIQUE_S,
            handshake=FeishuChallenge,
        ),
        # https://open.dingtalk.com/document/orgapp/configure-event-subcription
        "dingtalk": Scheme(
            proof=DingTalk(), type=types("body:EventType"), id=ids("body:eventId"), handshake=DingTalkAnswers
        ),
        # https://developer.work.weixin.qq.com/document/path/90930
        "wecom": Scheme(
            proof=WeCom(),
            type=types("body:Event", "body:MsgType", "body:InfoType"),
            id=ids("body:MsgId"),
            dedupe_s=UNIQUE_S,
            handshake=WeComAnswers,
        ),
        # https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html (the secret is the topic's ARN)
        "aws-sns": Scheme(
            proof=Sns(), type=types("body:Type"), id=ids("body:MessageId"), dedupe_s=UNIQUE_S, handshake=Sns().handshake
        ),
    }
)
