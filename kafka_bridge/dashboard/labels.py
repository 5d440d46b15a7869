"""What the settings are called in the form that the operator knows: as `settings.table` has it, and in Chinese. Pure.

`group/kafka_bridge.yaml` has the same for the platform; a test holds the two against each other.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kafka_bridge.dashboard.words import Language
from kafka_bridge.settings.table import SETTINGS

CHINESE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bootstrap_servers": "Bootstrap 服务器",
        "security_protocol": "安全协议",
        "sasl_mechanism": "SASL 机制",
        "sasl_username": "SASL 用户名",
        "sasl_password": "SASL 密码",
        "oauth_token_url": "OAuth 令牌 URL",
        "oauth_scope": "OAuth 范围（scope）",
        "ssl_ca_pem": "CA 证书（PEM）",
        "ssl_certificate_pem": "客户端证书（PEM）",
        "ssl_key_pem": "客户端私钥（PEM）",
        "ssl_key_password": "客户端私钥密码",
        "client_config": "附加客户端属性（JSON）",
        "publishing": "发布",
        "scheme": "签名方案",
        "webhook_secret": "Webhook 密钥",
        "topic": "主题",
        "key": "消息键",
        "sources": "来源（JSON）",
        "source_secrets": "来源密钥（JSON）",
        "topic_allow": "允许的主题",
        "public_url": "公开 URL",
        "app": "要运行的应用",
        "consume_topics": "要消费的主题",
        "group_id": "消费者组",
        "ordering": "处理顺序",
        "concurrency": "并发运行数",
        "max_attempts": "每条消息的尝试次数",
        "max_age_seconds": "最长时效（秒）",
        "offset_reset": "新消费者组的起始位置",
        "dead_letter_topic": "死信主题",
        "result_topic": "结果主题",
        "input_mapping": "输入映射（JSON）",
        "consumer": "常驻消费者",
        "api_token": "API 令牌",
        "keep_events": "保留的事件数",
        "mask_paths": "需脱敏的请求体路径",
    }
)


def label_of(setting: str, language: Language) -> str:
    """The label of a setting."""
    return language.of((SETTINGS[setting].label, CHINESE[setting]))
