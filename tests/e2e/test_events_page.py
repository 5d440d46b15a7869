"""The commands of docs/events.md, run as they stand there."""

import hashlib
import hmac
import json
import re
import shutil
import subprocess

import pytest

from tests.brokers import REPOSITORY
from tests.e2e.consuming import fresh

PAGE = (REPOSITORY / "docs" / "events.md").read_text()
SETUP, *BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
# `--max-time` ends what would go on listening: curl calls that 28.
CURL = 'curl() { command curl --silent --show-error --fail-with-body --noproxy "*" --max-time 2 "$@"; }'

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")


def run(block: str, url: str, token: str, secret: str) -> subprocess.CompletedProcess[str]:
    settings = SETUP.replace("http://127.0.0.1:5002/e/shop", url).replace("change-me-a-long-random-text", token)
    block = block.replace("change me: any text that only you and the sender know", secret)
    script = f"set -euo pipefail\n{CURL}\n{settings}\n{block}"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)


@pytest.fixture
def shop(endpoint, token, secret, client):
    url = endpoint(api_token=token, webhook_secret=secret, topic=fresh("page"))
    body = b'{"id": "o-1", "type": "order.paid"}'
    signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert client.post(f"{url}/webhook", content=body, headers={"X-Webhook-Signature": signed}).status_code == 200
    return url


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.findall(r"\$E/([\w/$]*)", block)[-1])
def test_a_command_does_what_it_is_there_for(shop, token, secret, block):
    found = run(block, shop, token, secret)

    streams = "/stream" in block
    assert found.returncode == (28 if streams else 0), found.stderr + found.stdout
    if streams:
        assert "event: hello" in found.stdout
    elif "/metrics" in block:
        assert "kafka_bridge_webhook_requests_total" in found.stdout
    elif "/webhook" in block:
        assert '"duplicate":false' in found.stdout
    else:
        assert [json.loads(line) for line in found.stdout.replace("}{", "}\n{").splitlines()]


def test_the_page_has_all_of_them():
    assert [re.findall(r"\$E/([\w/$]*)", block)[-1] for block in BLOCKS] == [
        "webhook",
        "events",
        "events/$ID/replay",
        "events/replay",
        "stream",
        "metrics",
        "consumer",
    ]


def test_every_metric_is_on_the_page(shop, token, client):
    text = client.get(f"{shop}/metrics", headers={"Authorization": f"Bearer {token}"}).text
    names = {line.split()[2].removeprefix("kafka_bridge_") for line in text.splitlines() if line.startswith("# TYPE")}

    # In a row of several the common beginning stands there once.
    short = {name: name.removeprefix("event_log") for name in names}
    assert {name for name in names if not {f"`{name}`", f"`{short[name]}`"} & set(re.findall(r"`\w+`", PAGE))} == set()
