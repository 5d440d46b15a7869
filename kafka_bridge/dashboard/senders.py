"""What to click at each kind of sender, and what its secret is, in two languages. Pure.

The short form of `docs/senders/*.md`, one row per scheme. Names of pages and buttons are the vendor's own.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from kafka_bridge.dashboard.words import Text


class Guide(NamedTuple):
    """`where` the URL is entered, what the `secret` is, and what else must be known, if anything."""

    where: Text
    secret: Text
    note: Text = ("", "")


def _page(text: str) -> Text:
    return text, text


_CHOSEN: Final = ("the secret that you choose there", "您在该处设置的密钥")
_CLIENT_SECRET: Final = ("the app's client secret", "应用的 client secret")
_UNSIGNED: Final = (
    "The body is not signed: whoever sees one request can write anything. HTTPS only.",
    "正文未签名：看到一次请求的人可以写入任意内容。请仅使用 HTTPS。",
)
_SIGNS_URL: Final = (
    "It signs the URL: set “Public URL” to the address that it calls.",
    "它会对 URL 签名：请将“公开 URL”设为它所调用的地址。",
)
_MANY: Final = (
    'A request may hold several events: “"split": true” makes a record of each.',
    '一个请求可能包含多个事件：设置 “"split": true” 可逐条写入。',
)
_OWN_CODE: Final = ("your own sender, or the vendor's form for webhooks", "您自己的程序，或厂商的 Webhook 表单")

GUIDES: Final[Mapping[str, Guide]] = MappingProxyType(
    {
        "hmac": Guide(
            _OWN_CODE,
            ("the key of the HMAC, a long random text", "HMAC 的密钥（足够长的随机文本）"),
            (
                "The signature is the hex HMAC-SHA-256 of the body, in the header named above. Other headers, "
                "encodings and timestamps: scheme_options.",
                "签名是正文的 HMAC-SHA-256（十六进制），放在上面的请求头中。"
                "其他请求头、编码和时间戳见 scheme_options。",
            ),
        ),
        "github": Guide(
            _page("Repository, organization or app → Settings → Webhooks → Add webhook; content type application/json"),
            _CHOSEN,
            ("GitHub does not deliver again by itself: use Redeliver.", "GitHub 不会自动重新投递：请使用 Redeliver。"),
        ),
        "standard-webhooks": Guide(
            _page("OpenAI and others → Webhooks → Add endpoint"),
            ("the signing secret, whsec_ included", "签名密钥，包含 whsec_ 前缀"),
        ),
        "stripe": Guide(
            _page("Developers → Webhooks → Add destination"),
            ("the signing secret, whsec_ included", "签名密钥，包含 whsec_ 前缀"),
        ),
        "none": Guide(
            ("anybody", "任何人"),
            ("there is none", "没有密钥"),
            (
                "Nothing is verified. Anybody who knows the URL writes to Kafka. Choose another scheme if you can.",
                "不做任何验证。知道 URL 的任何人都能写入 Kafka。请尽可能改用其他方案。",
            ),
        ),
        "svix": Guide(
            _page("Resend, Clerk and others → Webhooks → Add endpoint"),
            ("the signing secret, whsec_ included", "签名密钥，包含 whsec_ 前缀"),
        ),
        "bearer": Guide(
            _OWN_CODE,
            ("the token, without “Bearer”", "令牌本身，不含“Bearer”"),
            _UNSIGNED,
        ),
        "basic": Guide(_OWN_CODE, ("user:password", "用户名:密码"), _UNSIGNED),
        "api-key": Guide(_OWN_CODE, ("the value of the header", "该请求头的值"), _UNSIGNED),
        "gitlab-token": Guide(
            _page("Project or group → Settings → Webhooks → Add new webhook"),
            ("the secret token that you choose there", "您在该处设置的 Secret token"),
            (
                "The body is not signed. Take the signing token where your GitLab has it.",
                "正文未签名。如果您的 GitLab 支持 Signing token，请改用它。",
            ),
        ),
        "gitlab-signing-token": Guide(
            _page("Project or group → Settings → Webhooks → Add new webhook"),
            ("the signing token, whsec_ included", "Signing token，包含 whsec_ 前缀"),
        ),
        "bitbucket": Guide(_page("Repository → Repository settings → Webhooks → Add webhook"), _CHOSEN),
        "jira": Guide(_page("Settings → System → WebHooks"), _CHOSEN),
        "linear": Guide(
            _page("Settings → API → Webhooks"),
            ("the signing secret on the webhook's page", "该 Webhook 页面上的 Signing secret"),
        ),
        "sentry": Guide(
            _page("Settings → Developer Settings → the integration → Webhook URL"),
            ("the integration's client secret", "该集成的 Client Secret"),
        ),
        "vercel": Guide(_page("Team → Settings → Webhooks"), ("the secret, which is shown once", "仅显示一次的密钥")),
        "pagerduty": Guide(
            _page("Integrations → Generic Webhooks (v3) → New Webhook"),
            ("the signing secret, which is shown once", "仅显示一次的签名密钥"),
        ),
        "grafana": Guide(
            _page("Alerting → Contact points → Webhook → HMAC Signature"),
            _CHOSEN,
            (
                "Set Grafana's timestamp header too, and the same name in scheme_options: otherwise an old alert can "
                "be sent again.",
                "请同时设置 Grafana 的 Timestamp Header，并在 scheme_options 中填写同名项，否则旧告警可被重放。",
            ),
        ),
        "cloudflare-stream": Guide(
            ("the Stream API: PUT /accounts/<id>/stream/webhook", "Stream API：PUT /accounts/<id>/stream/webhook"),
            ("“secret” in the API's answer", "API 响应中的 secret"),
        ),
        "cloudflare-notifications": Guide(
            _page("Notifications → Destinations → Webhooks → Create"), _CHOSEN, _UNSIGNED
        ),
        "shopify": Guide(
            _page("App → Webhooks; or admin → Settings → Notifications → Webhooks"),
            (
                "the app's client secret; for the admin's webhooks the one shown on that page",
                "应用的 client secret；后台 Webhook 则用该页面显示的密钥",
            ),
        ),
        "square": Guide(
            _page("Developer Console → app → Webhooks → Subscriptions"),
            ("the subscription's signature key", "该订阅的 Signature key"),
            _SIGNS_URL,
        ),
        "hubspot-v3": Guide(_page("App → Webhooks"), _CLIENT_SECRET, _SIGNS_URL),
        "calendly": Guide(
            ("its API: a webhook subscription with signing_key", "通过 API 创建带 signing_key 的 Webhook 订阅"),
            ("the same signing_key", "相同的 signing_key"),
        ),
        "typeform": Guide(_page("Form → Connect → Webhooks → Edit"), _CHOSEN),
        "docusign": Guide(
            _page("Admin → Connect, HMAC signature; keys: Connect Keys"), ("one of the keys", "其中一个密钥")
        ),
        "contentful": Guide(
            _page("Settings → Webhooks, request verification"),
            ("the space's signing secret, 64 characters", "空间的签名密钥，64 个字符"),
            _SIGNS_URL,
        ),
        "dropbox": Guide(_page("App Console → app → Webhooks"), ("the app secret", "应用的 App secret")),
        "zendesk": Guide(
            _page("Admin Center → Apps and integrations → Webhooks"),
            ("Reveal secret on the webhook's page", "该 Webhook 页面上的 Reveal secret"),
            (
                "Zendesk's own test requests are signed with another secret and get 401.",
                "Zendesk 自带的测试请求使用另一个密钥签名，会得到 401。",
            ),
        ),
        "intercom": Guide(_page("Developer Hub → app → Webhooks"), _CLIENT_SECRET),
        "mailgun": Guide(
            _page("Sending → Webhooks"),
            ("the HTTP webhook signing key", "HTTP webhook signing key"),
            ("Only time and token are signed, the event is not.", "只有时间和令牌被签名，事件本身没有。"),
        ),
        "microsoft-graph": Guide(
            ("its API: a subscription with notificationUrl and clientState", "通过 API 创建带 clientState 的订阅"),
            ("the same clientState", "相同的 clientState"),
            _MANY,
        ),
        "slack": Guide(
            _page("api.slack.com/apps → app → Event Subscriptions → Request URL"),
            (
                "Basic Information → Signing Secret; save it here first",
                "Basic Information → Signing Secret；请先在此保存",
            ),
        ),
        "twilio": Guide(
            _page("The webhook field of the number or service"),
            ("the account's Auth Token", "账户的 Auth Token"),
            _SIGNS_URL,
        ),
        "zoom": Guide(
            _page("App Marketplace → app → Features → Access → Event subscriptions"),
            ("the Secret Token on the same page", "同一页面上的 Secret Token"),
        ),
        "meta": Guide(
            _page("App Dashboard → Webhooks (WhatsApp: Configuration) → Callback URL, Verify token"),
            _page('{"secret": "<App settings → Basic → app secret>", "token": "<verify token>"}'),
        ),
        "twitter": Guide(
            ("the API of X: register a webhook", "通过 X 的 API 注册 Webhook"),
            ("the app's API key secret (consumer secret)", "应用的 API key secret（consumer secret）"),
        ),
        "line": Guide(
            _page("LINE Developers → channel → Messaging API → Webhook URL"),
            _page("Basic settings → Channel secret"),
            _MANY,
        ),
        "discord": Guide(
            _page("Developer Portal → app → Webhooks → Endpoint"),
            ("General Information → Public Key, in hex", "General Information → Public Key（十六进制）"),
        ),
        "feishu": Guide(
            _page("开发者后台 Developer console → 事件与回调 Events & Callbacks → 加密策略 Encryption strategy"),
            _page('{"encrypt_key": "<Encrypt Key>", "token": "<Verification Token>"}'),
        ),
        "dingtalk": Guide(
            _page("开放平台 Open platform → app → 事件订阅 Event subscription → HTTP"),
            _page('{"token": "<token>", "aes_key": "<aes_key>", "receiver_id": "<CorpId>"}'),
        ),
        "wecom": Guide(
            _page("管理后台 Admin console → 应用管理 → 接收消息 Receive messages → API"),
            _page('{"token": "<Token>", "aes_key": "<EncodingAESKey>", "receiver_id": "<CorpID>"}'),
            (
                "Save the endpoint here first: WeCom checks the URL at once.",
                "请先在此保存端点：企业微信会立即校验 URL。",
            ),
        ),
        "aws-sns": Guide(
            _page("SNS → topic → Create subscription → HTTPS; raw message delivery off"),
            ("the ARN of the topic, which is what tells it from everybody else's", "主题的 ARN，用于区别于他人的主题"),
        ),
    }
)
