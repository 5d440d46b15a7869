"""What became of something, in one word: outcomes, verdicts, endings of runs, states. In English and Chinese. Pure.

The keys are the words of the log, of the API and of the consumer.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kafka_bridge.dashboard.words import Text

STATES: Final[Mapping[str, Text]] = MappingProxyType(
    {
        # Outcomes and verdicts.
        "accepted": ("accepted", "已接收"),
        "duplicate": ("duplicate", "重复"),
        "dropped": ("dropped", "已丢弃"),
        "rejected": ("rejected", "已拒绝"),
        "failed": ("failed", "失败"),
        "handshake": ("handshake", "握手"),
        "run": ("run", "运行"),
        "dead-lettered": ("dead-lettered", "已转入死信"),
        "replay": ("replay", "重放"),
        "succeeded": ("succeeded", "成功"),
        "refused": ("refused", "输入被拒"),
        "unavailable": ("unavailable", "不可用"),
        "misconfigured": ("misconfigured", "配置错误"),
        "not started": ("not started", "未开始"),
        "verified": ("verified", "已验证"),
        "unchecked": ("not checked: the scheme is “none”", "未检查：签名方案为 none"),
        "skipped": ("not looked at", "未检查"),
        "own": ("the bridge's own: an operator sent it", "由操作者从控制台发送"),
        # Of the endpoint and its consumer.
        "ok": ("ok", "正常"),
        "healthy": ("healthy", "正常"),
        "degraded": ("degraded", "部分可用"),
        "unhealthy": ("unhealthy", "异常"),
        "unused": ("unused", "未使用"),
        "not configured": ("not configured", "未配置"),
        "idle": ("idle", "空闲"),
        "joined": ("joined", "已加入消费者组"),
        "running": ("running", "运行中"),
        "disabled": ("disabled", "已停用"),
        "starting": ("starting", "正在启动"),
        "failing": ("failing", "出错"),
        "stopped": ("stopped", "已停止"),
        "queued": ("waits for its turn", "排队中"),
        "off": ("off", "未运行"),
    }
)
