"""Where resident consumers can live."""

import pytest

from kafka_bridge.dify.hosting import hosting_of

LOCAL = {"INSTALL_METHOD": "local"}


@pytest.mark.parametrize(
    ("environment", "port"),
    [({}, 5002), ({"SERVER_PORT": "5012"}, 5012), ({"SERVER_PORT": " 65535 "}, 65535), ({"SERVER_PORT": ""}, 5002)],
)
def test_the_daemon_that_has_started_the_plugin_is_at_its_own_port(environment, port):
    hosting = hosting_of(LOCAL | environment)

    assert (hosting.port, hosting.obstacle, hosting.window_s) == (port, "", 60.0)


@pytest.mark.parametrize("method", ["remote", "serverless", "aws_lambda", "", None, "LOCAL2", "http://secret@host"])
def test_anything_but_the_local_runtime_is_named(method):
    hosting = hosting_of({} if method is None else {"INSTALL_METHOD": method})

    assert "local runtime" in hosting.obstacle
    assert "secret" not in hosting.obstacle


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "5002/tcp", "\u0665", "9" * 10_000, "tcp://10.0.0.1:5002"])
def test_a_port_that_is_none_is_an_obstacle(port):
    assert "SERVER_PORT" in hosting_of(LOCAL | {"SERVER_PORT": port}).obstacle


@pytest.mark.parametrize(
    ("text", "window_s", "warned"),
    [("5", 5.0, False), ("240", 240.0, False), ("0", 60.0, True), ("241", 60.0, True), ("1.5", 60.0, True)],
)
def test_the_length_of_a_window_may_be_set(text, window_s, warned):
    hosting = hosting_of(LOCAL | {"KAFKA_BRIDGE_WINDOW_S": text})

    assert (hosting.window_s, bool(hosting.warnings), hosting.obstacle) == (window_s, warned, "")
