"""A file of vectors, through the plugin's own receive path."""

import base64
import json

import pytest
from click.testing import CliRunner

from devhost.__main__ import devhost
from devhost.signing import sign
from devhost.verify import BadVectors, run_vectors
from kafka_bridge.ingress.outside import no_fetch
from tests.brokers import REPOSITORY
from tests.devhost.captures import SECRET
from tests.stand_ins import NOW

VECTORS = REPOSITORY / "tests" / "vectors" / "webhook_vectors.json"


def run(*arguments, **environment):
    return CliRunner(env=environment).invoke(devhost, list(arguments))


def test_every_vector_of_the_repository_passes():
    result = run("verify", "--vectors", str(VECTORS))

    assert (result.exit_code, result.output) == (0, "51 passed, 0 failed\n")


def vector(**fields):
    found = sign("github", SECRET, b"{}", now=NOW, event_id="e")
    whole = {"id": "v", "scheme": "github", "secret": SECRET, "headers": found.headers, "method": "POST"}
    return {**whole, "url": None, "body": "{}", "now": None, "valid": True, **fields}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"secret": ["other", SECRET]},
        {"body": None, "body_b64": base64.b64encode(b"{}").decode()},
        {"secret": "other", "valid": False},
        {"secret": "", "valid": False},
        {"secret": "[", "valid": False},
        {"secret": "other", "either": True},
        {"expect": {"plaintext": "{}"}},
    ],
)
def test_vectors_that_pass(fields):
    assert run_vectors([vector(**fields)], fetch=no_fetch) == (1, [])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"secret": "another-secret"}, "must verify, and does not: the signature does not match"),
        ({"valid": False}, "must not verify, and does"),
        ({"expect": {"response_body": "x"}}, "response_body is not the one that is expected"),
        ({"expect": {"response_json": {}}}, "response_json is not"),
        ({"expect": {"response_status": 200}}, "response_status is not"),
        ({"expect": {"plaintext": "x"}}, "plaintext is not"),
        ({"expect": {"other": 1}}, "expects other, which nobody knows"),
    ],
)
def test_vectors_that_fail(tmp_path, fields, sentence):
    file = tmp_path / "v.json"
    file.write_text(json.dumps([vector(**fields), vector(id="good")]))

    result = run("verify", "--vectors", str(file))

    assert result.exit_code == 1
    assert f"v (github): {sentence}" in result.output
    assert result.output.endswith("1 passed, 1 failed\n")
    assert "another-secret" not in result.output


@pytest.mark.parametrize("fields", [{"body_b64": "?"}, {"body": 1}, {"headers": [1]}, {"secret": 1}, {"config": [1]}])
def test_a_vector_that_is_none(fields):
    with pytest.raises(BadVectors, match="vector v"):
        run_vectors([vector(**fields)], fetch=no_fetch)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"vald": True}, "vald"),
        ({"valid": None}, "true or false"),
        ({"valid": "yes"}, "true or false"),
        ({"scheme": "gitub", "valid": False}, "scheme"),
    ],
)
def test_a_vector_that_is_misspelt_is_no_vector_that_passed(fields, words):
    with pytest.raises(BadVectors, match=words):
        run_vectors([vector(**fields)], fetch=no_fetch)


def test_no_vectors_are_no_success():
    with pytest.raises(BadVectors, match="empty"):
        run_vectors([], fetch=no_fetch)


def test_an_exception_is_a_failure(monkeypatch):
    monkeypatch.setattr("devhost.verify.vectors.check", lambda *_a, **_k: 1 / 0)

    passed, failed = run_vectors([vector(either=True)], fetch=no_fetch)

    assert (passed, failed[0].sentence) == (0, "raised ZeroDivisionError")
