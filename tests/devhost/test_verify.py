"""`verify`: what it takes, prints and returns."""

import hmac
import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from devhost.__main__ import devhost
from devhost.signing import sample_body, sample_secret
from kafka_bridge.ingress.schemes import SCHEMES
from tests.devhost.captures import BODY, SECRET, capture
from tests.stand_ins import NOW


def run(*arguments, **environment):
    return CliRunner(env=environment).invoke(devhost, list(arguments))


@pytest.fixture
def recorded(tmp_path):
    def make(captured, headers=None):
        (tmp_path / "h.json").write_text(json.dumps(dict(captured.headers) if headers is None else headers))
        (tmp_path / "b.bin").write_bytes(captured.body)
        files = ["--headers", str(tmp_path / "h.json"), "--body", str(tmp_path / "b.bin")]
        return ["verify", *files, "--now", str(NOW)]

    return make


def test_verify_says_yes(recorded):
    result = run(*recorded(capture()), "--scheme", "github", "--secret", SECRET)

    assert (result.exit_code, result.output) == (0, "github: verified\n")


def test_the_secret_may_come_from_the_environment(recorded):
    assert run(*recorded(capture()), "--scheme", "github", WEBHOOK_SECRET=SECRET).exit_code == 0


@pytest.mark.parametrize("kind", [list, lambda items: {name: ["earlier", value] for name, value in items}])
def test_headers_as_pairs_and_repeated_ones(recorded, kind):
    captured = capture()

    result = run(*recorded(captured, kind(captured.headers.items())), "--scheme", "github", "--secret", SECRET)

    assert result.exit_code == 0


def test_verify_says_no_and_why_but_not_the_secret(recorded):
    result = run(*recorded(replace(capture(), body=BODY + b"\n")), "--scheme", "github", "--secret", SECRET)

    assert result.exit_code == 1
    assert result.output.startswith("github: not verified\n  The signature does not match")
    assert "newline" in result.output
    assert SECRET not in result.output
    assert hmac.digest(SECRET.encode(), BODY + b"\n", "sha256").hex() not in result.output


def test_verify_with_options(recorded):
    command = recorded(capture("hmac", options={"header": "X-Mine", "algorithm": "sha512"}))
    command += ["--scheme", "hmac", "--secret", SECRET]

    one_by_one = run(*command, "--option", "header=X-Mine", "--option", "algorithm=sha512")
    whole = run(*command, "--options", '{"header": "X-Mine", "algorithm": "sha512"}')

    assert (one_by_one.exit_code, whole.exit_code) == (0, 0)
    assert run(*command).exit_code == 1


def test_verify_a_handshake(tmp_path):
    (tmp_path / "h.json").write_text("{}")
    command = ["verify", "--scheme", "dropbox", "--secret", SECRET, "--headers", str(tmp_path / "h.json")]

    result = run(*command, "--method", "get", "--url", "https://x.example/hook?challenge=abc")

    assert (result.exit_code, result.output) == (0, "dropbox: a handshake, and is answered\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify"],
        ["verify", "--scheme", "github"],
        ["verify", "--scheme", "unheard-of", "--headers", "{h}"],
        ["verify", "--scheme", "github", "--secret", "x", "--headers", "{bad}"],
        ["verify", "--scheme", "github", "--secret", "x", "--headers", "{list}"],
        ["verify", "--scheme", "github", "--secret", "x", "--headers", "{none}"],
        ["verify", "--scheme", "github", "--secret", "x", "--headers", "{latin}"],
        ["verify", "--scheme", "github", "--secret", "x", "-H", "authorization Bearer SECRET"],
        ["verify", "--scheme", "github", "--secret", "x", "-H", "a b: SECRET"],
        ["verify", "--scheme", "github", "--headers", "{h}", "--option", "no-equals-sign-SECRET"],
        ["verify", "--scheme", "github", "--headers", "{h}", "--options", "{SECRET"],
        ["verify", "--scheme", "github", "--headers", "{h}", "--options", "[]"],
        ["verify", "--vectors", "{bad}"],
        ["verify", "--vectors", "{h}"],
        ["verify", "--vectors", "{deep}"],
        ["verify", "--scheme", "github", "--secret", "x", "-H", "a: b", "--url", "http://[SECRET"],
        ["send", "--scheme", "github", "--secret", "x", "http://[SECRET"],
        ["send", "--scheme", "github", "--secret", "x", "--signed-url", "http://[SECRET", "http://127.0.0.1:1/"],
        ["send", "http://127.0.0.1:1/"],
        ["send", "--scheme", "github", "http://127.0.0.1:1/"],
        ["send", "--scheme", "github", "--secret", "[1]", "http://127.0.0.1:1/"],
        ["send", "--scheme", "github", "--secret", "x", "ftp://127.0.0.1:1/"],
        ["send", "--scheme", "discord", "--secret", "not-hexadecimal-SECRET", "http://127.0.0.1:1/"],
    ],
)
def test_a_wrong_question_has_status_2(tmp_path, arguments):
    files = {"h": "{}", "bad": "{", "list": "[1]", "none": "\n\n", "latin": "x: \u00e9"}
    files["deep"] = "[" * 100_000
    for name, text in files.items():
        (tmp_path / name).write_text(text, "latin-1")
    names = {f"{{{name}}}": str(tmp_path / name) for name in files}

    result = run(*(names.get(text, text) for text in arguments))

    assert result.exit_code == 2
    assert "SECRET" not in result.output.replace("WEBHOOK_SECRET", "")


# Headers as they were copied.


def lines_of(captured):
    return [f"{name.title()}: {value}" for name, value in captured.headers.items()]


CURL = """* Connected to hooks.example.com (192.0.2.1) port 443
> POST /hook?a=b HTTP/2
> Host: hooks.example.com
{sent}
> Accept: */*
>
}} [2 bytes data]
< HTTP/2 401
< x-hub-signature-256: sha256=00
<
* Connection #0 to host hooks.example.com left intact
"""


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(lambda lines: "\n".join(lines), id="lines"),
        pytest.param(lambda lines: "\r\n".join(["", *lines, "", ""]), id="CRLF"),
        pytest.param(lambda lines: "\ufeff" + "\n".join(lines), id="byte order mark"),
        pytest.param(lambda lines: "\n".join(["POST /hook HTTP/1.1", *lines, "", "not: a header"]), id="whole request"),
        pytest.param(lambda lines: "\n".join([":method: POST", ":path: /", *lines]), id="HTTP/2"),
        pytest.param(lambda lines: "\n".join(["X-Hub-Signature-256: sha256=00", *lines]), id="the last counts"),
        pytest.param(lambda lines: "\n".join(line.replace(": ", ":") for line in lines), id="no space"),
        pytest.param(lambda lines: CURL.format(sent="\n".join(f"> {line}" for line in lines)), id="curl -v"),
    ],
)
def test_headers_as_lines(recorded, tmp_path, written):
    captured = capture()
    command = [*recorded(captured), "--scheme", "github", "--secret", SECRET]
    (tmp_path / "h.json").write_bytes(written(lines_of(captured)).encode())

    result = run(*command)

    assert (result.exit_code, result.output) == (0, "github: verified\n")


def test_headers_one_by_one_come_after_those_of_the_file(recorded, tmp_path):
    captured = capture()
    files = recorded(replace(captured, headers={**captured.headers, "x-hub-signature-256": "sha256=00"}))
    right = f"X-Hub-Signature-256: {captured.headers['x-hub-signature-256']}"
    command = [*files, "--scheme", "github", "--secret", SECRET]

    assert run(*command).exit_code == 1
    assert run(*command, "-H", right).exit_code == 0
    assert run(*[part for part in command if part not in {"--headers", files[2]}], "-H", right).exit_code == 0


@pytest.mark.parametrize("line", ["no colon SECRET", "two words: SECRET", ": SECRET"])
def test_a_line_that_is_no_header_is_named_by_its_number_and_not_quoted(tmp_path, line):
    (tmp_path / "h").write_text(f"Host: x\n{line}\n")

    result = run("verify", "--scheme", "github", "--secret", "x", "--headers", str(tmp_path / "h"))

    if line.startswith(":"):
        # Of HTTP/2 the names that begin with a colon are no headers.
        assert result.exit_code == 1
    else:
        assert (result.exit_code, "line 2 is not Name: value" in result.output) == (2, True)
    assert "SECRET" not in result.output.replace("WEBHOOK_SECRET", "")


# No secret.


@pytest.mark.parametrize("secret", [[], ["--secret", ""], ["--secret", " \n"]], ids=["none", "empty", "blank"])
@pytest.mark.parametrize("command", [["verify", "-H", "a: b"], ["send", "http://127.0.0.1:1/"]], ids=lambda c: c[0])
@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_a_scheme_that_needs_a_secret_says_which_option_gives_it(scheme, command, secret):
    result = run(*command, "--scheme", scheme, *secret, WEBHOOK_SECRET="")

    if scheme == "none":
        assert result.exit_code == 1
        return
    assert result.exit_code == 2
    assert result.output.startswith("Usage: ")
    assert f"{scheme} needs a secret. Give --secret" in result.output
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    ("now", "status"),
    [("nan", 2), ("inf", 2), ("-inf", 2), ("1e300", 2), ("-1", 2), ("253402300800", 2), ("0", 1), ("253402300799", 1)],
)
@pytest.mark.parametrize("scheme", ["slack", "hubspot-v3", "zendesk", "feishu", "wecom"])
def test_a_time_that_no_calendar_has_is_a_wrong_question(recorded, scheme, now, status):
    secret = sample_secret(scheme)
    captured = capture(scheme, secret=secret, body=sample_body(scheme))
    text = secret if isinstance(secret, str) else json.dumps(secret)
    command = [part for part in recorded(captured) if part not in {"--now", str(NOW)}]

    result = run(*command, "--scheme", scheme, "--secret", text, "--url", captured.url, "--now", now)

    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == status
