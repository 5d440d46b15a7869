"""What to do about a fault of Kafka, and which settings it may lie in. Pure."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from kafka_bridge.dashboard.words import Text
from kafka_bridge.errors import Cause


class Advice(NamedTuple):
    """A sentence or two, and names of settings."""

    text: Text
    settings: Sequence[str] = ()


ADVICE: Final[Mapping[Cause, Advice]] = MappingProxyType(
    {
        Cause.CONNECTION_REFUSED: Advice(
            (
                "Nobody listens at these addresses, or the listener expects TLS or SASL and hangs up. They must be "
                "reachable from the machine or container of Dify's plugin daemon: localhost is the daemon itself.",
                "这些地址无人监听，或者监听端要求 TLS 或 SASL 而挂断。"
                "必须能从 Dify 插件守护进程所在的机器或容器访问：那里的 localhost 指守护进程自身。",
            ),
            ("bootstrap_servers", "security_protocol"),
        ),
        Cause.HOST_NOT_FOUND: Advice(
            (
                "The name is unknown to the machine or container of Dify's plugin daemon. A broker may also announce "
                "a name (advertised.listeners) that is unknown there.",
                "Dify 插件守护进程所在的机器或容器无法解析该名称。"
                "也可能是 broker 通告的名称（advertised.listeners）在那里无法解析。",
            ),
            ("bootstrap_servers",),
        ),
        Cause.AUTHENTICATION_FAILED: Advice(
            (
                "User, password or mechanism is wrong. Confluent Cloud: PLAIN with an API key; MSK: SCRAM-SHA-512.",
                "用户名、密码或机制有误。Confluent Cloud：PLAIN 和 API key；MSK：SCRAM-SHA-512。",
            ),
            ("sasl_username", "sasl_password", "sasl_mechanism"),
        ),
        Cause.TLS_HANDSHAKE_FAILED: Advice(
            (
                "The CA is unknown, the certificate does not name the host, or the listener does not speak TLS.",
                "CA 未知、证书与主机名不符，或监听端不使用 TLS。",
            ),
            ("ssl_ca_pem", "security_protocol", "bootstrap_servers"),
        ),
        Cause.TOPIC_DOES_NOT_EXIST: Advice(
            (
                "The brokers do not create topics themselves. Create it: it is used at once, without a restart.",
                "broker 不会自动创建主题。请创建该主题，创建后立即可用，无需重启。",
            ),
            ("topic", "sources"),
        ),
        Cause.NOT_AUTHORIZED: Advice(
            (
                "The user has no right to write to the topic. Grant WRITE and DESCRIBE: that works within seconds.",
                "该用户没有写入主题的权限。请授予 WRITE 和 DESCRIBE，数秒内生效。",
            ),
            ("sasl_username", "topic"),
        ),
        Cause.NOT_ACKNOWLEDGED: Advice(
            (
                "The brokers are slow or frozen, or too few replicas are in sync.",
                "broker 缓慢或卡住，或同步副本过少。",
            ),
            ("bootstrap_servers",),
        ),
        Cause.QUEUE_FULL: Advice(
            (
                "More is coming in than the brokers take. It passes by itself if they catch up.",
                "写入速度超过了 broker 的处理能力；broker 追上后会自行恢复。",
            ),
        ),
        Cause.PUBLISHING_DISABLED: Advice(
            (
                "It was switched off: every verified webhook is answered 503, so that senders keep their events.",
                "发布已停用：所有通过验证的 Webhook 都返回 503，由发送方保留事件。",
            ),
            ("publishing",),
        ),
    }
)
