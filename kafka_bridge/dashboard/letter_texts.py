"""The words of the page of dead letters, in English and Chinese. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kafka_bridge.dashboard.words import Text

LETTER_TEXTS: Final[Mapping[str, Text]] = MappingProxyType(
    {
        "dead-letters": ("Dead letters", "死信"),
        "letters_help": (
            "Records that could not be done, the newest first. Mend what was wrong, then send them back.",
            "处理失败的记录，最新的在前。排除故障后即可送回。",
        ),
        "letter_original": ("Came from", "来自"),
        "letter_attempts": ("Attempts", "尝试次数"),
        "letter_failed": ("Failed", "失败时间"),
        "letter_state": ("State", "状态"),
        "letter_value": ("Value", "值"),
        "letter_back": ("Send back…", "送回…"),
        "letters_back": ("Send all of these back…", "全部送回…"),
        "letters_all": ("All dead letters", "全部死信"),
        "letters_none": ("There are no dead letters.", "没有死信。"),
        "letters_no_match": ("No dead letter matches the filter.", "没有符合条件的死信。"),
        "letters_cut": ("Not all were looked at: go on with “Older”.", "未查看全部：请点击“更早”继续。"),
        "letters_trouble": ("The dead letters cannot be read: ", "无法读取死信："),
        "letter_redrives": ("sent back {} times before", "此前已送回 {} 次"),
        "pending": ("pending", "待处理"),
        "redriven": ("sent back", "已送回"),
        "stays": ("cannot go back", "无法送回"),
        "redrive_title": ("Send dead letters back", "送回死信"),
        "redrive_one": ("Send this dead letter back", "送回此死信"),
        "redrive_would": ("{} would be sent back.", "将送回 {} 条。"),
        "redrive_at_least": (
            "At least {} would be sent back: there are more than were counted.",
            "至少将送回 {} 条：数量较多，未全部统计。",
        ),
        "redrive_skipped": ("{} cannot go back, and stay.", "{} 条无法送回，将保留。"),
        "redrive_nothing": ("There is nothing to send back.", "没有可送回的死信。"),
        "redrive_help": (
            "Each is remembered once it has arrived. Whoever consumes the topic gets it, under the same event id.",
            "每条到达后都会被记住，不会重复送回。该主题的所有消费者都会以相同的事件 ID 再次收到。",
        ),
        "redrive_to_topic": ("To the topic that it came from: it is run from there", "送回原主题：由消费者重新运行"),
        "redrive_to_workflow": (
            "To the workflow: the app runs once for each, and nothing is written to its topic",
            "直接交给工作流：应用对每条运行一次，不写入原主题",
        ),
        "redrive_count": ("At the most", "最多"),
        "redrive_done": ("{} sent back, {} cannot go back.", "已送回 {} 条，{} 条无法送回。"),
        "redrive_more": ("More remain: send back again.", "还有剩余：请再次送回。"),
    }
)
