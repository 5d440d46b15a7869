"""`python -m kafka_bridge.worker` as somebody runs it: real processes, on the embedded broker and on a real Kafka."""

import json
import os
import pty
import re
import signal
import subprocess
import threading
from collections.abc import Callable

import pytest

from kafka_bridge.dispatch.deadletter import ATTEMPTS
from kafka_bridge.events.record import Record
from kafka_bridge.standalone.variables import VARIABLES
from tests.brokers import Broker, Connect, cluster_of, wait_until
from tests.real.kafka import free_ports
from tests.standalone.processes import COMMAND, FLOW, Topics, environment, told, working
from tests.test_service import KEY, dify  # noqa: F401 - a fixture

type Publish = Callable[..., None]


@pytest.fixture
def topics(broker: Broker) -> Topics:
    """Those of this test, on both brokers."""
    return Topics(broker)


@pytest.fixture
def here(embedded: Broker) -> Topics:
    """Those of this test, on the embedded one."""
    return Topics(embedded)


@pytest.fixture
def publish(connect: Connect) -> Publish:
    """Write JSON documents, or bytes, to the consumed topic."""
    opened = {}

    def write(topics: Topics, *values: object, **changes: object) -> None:
        bootstrap = topics.broker.bootstrap
        saved = {"bootstrap_servers": bootstrap, "client_config": '{"message.max.bytes": 10000000}'}
        connection = opened.setdefault(bootstrap, None) or connect(cluster_of(**saved))
        opened[bootstrap] = connection
        contents = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
        connection.send_all([Record(topics.name, content, **changes) for content in contents], timeout_s=20)

    return write


# From record to result.


def test_each_record_is_run_its_result_is_written_and_its_offset_committed(tmp_path, topics, publish):
    topics.create("", "-results")
    publish(topics, *({"n": number} for number in range(20)))

    with working(tmp_path, **topics.settings(RESULT_TOPIC=f"{topics.name}-results", HTTP_PORT=0)) as worker:
        results = topics.read("-results", 20)
        worker.wait_for(lambda: worker.get("/health").status_code == 200)
        worker.wait_for(lambda: worker.get("/health").json()["lag"] == 0)
        metrics = worker.get("/metrics").text
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 0

    assert len({json.loads(one.record.value)["echo"] for one in results}) == 20
    assert {dict(one.record.headers)["ce_type"] for one in results} == {b"dify.workflow.succeeded"}
    assert 'kafka_bridge_runs_total{outcome="succeeded"} 20.0' in metrics
    assert f'kafka_bridge_lag_records{{partition="0",topic="{topics.name}"}} 0.0' in metrics
    assert len(worker.noted("done")) == 20
    assert topics.lag() == 0
    stopped = worker.said[-1]
    assert (stopped["message"], stopped["succeeded"], stopped["in_flight"]) == ("stopped", 20, 0)


def test_what_cannot_be_done_is_dead_lettered_as_it_was_however_large(tmp_path, topics, publish):
    topics.create("", ".dead-letter", **{"max.message.bytes": "10000000"})
    large = json.dumps({"fail": True, "pad": "x" * 5_000_000}).encode()
    publish(topics, large, key=b"\xff\x00", headers=(("a", b"\xfe"), ("a", None)))

    with working(tmp_path, **topics.settings(MAX_ATTEMPTS=1)) as worker:
        (letter,) = topics.read(".dead-letter", 1)
        worker.wait_for(lambda: worker.says("dead-lettered"))
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 0

    assert (letter.record.key, letter.record.value) == (b"\xff\x00", large)
    assert letter.record.headers[:2] == (("a", b"\xfe"), ("a", None))
    assert dict(letter.record.headers)[ATTEMPTS] == b"1"
    assert b"it does not fit" in dict(letter.record.headers)["__connect.errors.exception.message"]
    assert worker.says("failed: ValueError: it does not fit (flow.py, line ")
    assert topics.lag() == 0


def test_workers_of_one_group_share_the_partitions(tmp_path, topics, publish):
    topics.create("")
    # The embedded broker's topics begin with their first record.
    publish(topics, {"n": 0})
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()

    with working(folders[0], **topics.settings()) as one, working(folders[1], **topics.settings()) as two:
        for worker in (one, two):
            worker.wait_for(lambda worker=worker: worker.says(f"consuming {topics.name}["), 60)
        # With keys, because records without one go to the same partition for a while.
        for number in range(100):
            publish(topics, {"n": number}, key=str(number).encode())
        wait_until(lambda: len(one.noted("done")) + len(two.noted("done")) >= 101, 60)
        one.signal(signal.SIGTERM)
        assert one.ended() == 0
        publish(topics, *({"n": number} for number in range(20)))
        wait_until(lambda: len(one.noted("done")) + len(two.noted("done")) >= 121, 60)
        two.signal(signal.SIGTERM)
        assert two.ended() == 0

    assert one.noted("done")
    assert two.noted("done")
    # Also what was done while the group was being balanced because the other one had left.
    assert topics.lag() == 0


def test_inputs_of_the_operators_are_the_flows_too(tmp_path, here, publish):
    publish(here, {"order": {"id": 7}})
    mapping = json.dumps({"extra": "{body.order.id}"})

    with working(tmp_path, **here.settings(INPUT_MAPPING=mapping, RESULT_TOPIC=f"{here.name}-results")):
        (result,) = here.read("-results", 1)

    assert json.loads(result.record.value)["extra"] == 7


def test_an_app_of_dify_is_run_through_its_api(tmp_path, here, publish, dify):  # noqa: F811
    publish(here, {"a": "x", "b": "y"})
    settings = here.settings(FLOW="", DIFY_API_URL=f"{dify.url}/v1", DIFY_API_KEY=KEY)

    with working(tmp_path, **settings, RESULT_TOPIC=f"{here.name}-results") as worker:
        (result,) = here.read("-results", 1)
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 0

    assert dify.paths == ["/v1/parameters", "/v1/info", "/v1/workflows/run"]
    assert dify.requests[-1][2]["inputs"] == {"a": "x"}
    assert json.loads(result.record.value) == {"n": 1}
    assert dict(result.record.headers)["ce_runid"] == b"run-1"
    assert KEY not in "\n".join(worker.lines)


def test_a_dify_that_is_down_pauses_and_dead_letters_nothing(tmp_path, here, publish, dify):  # noqa: F811
    dify.answers["/v1/parameters"] = (503, "<html>")
    publish(here, {"a": "x"})
    settings = here.settings(FLOW="", DIFY_API_URL=dify.url, DIFY_API_KEY=KEY, HTTP_PORT=0)

    with working(tmp_path, **settings) as worker:
        worker.wait_for(lambda: worker.says("paused, nothing is dead-lettered"))
        sick = worker.get("/health")
        open_circuit = "kafka_bridge_circuit_open 1.0" in worker.get("/metrics").text
        dify.answers["/v1/parameters"] = (200, {"user_input_form": []})
        worker.wait_for(lambda: worker.says("running again"))
        worker.wait_for(lambda: worker.get("/health").status_code == 200)
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 0

    assert (sick.status_code, sick.json()["reason"]) == (503, "HTTP 503")
    assert open_circuit
    assert (worker.said[-1]["succeeded"], worker.said[-1]["dead_lettered"]) == (1, 0)


def test_a_flow_wins_over_a_key(tmp_path, here):
    with working(tmp_path, **here.settings(DIFY_API_KEY=KEY)) as worker:
        worker.wait_for(lambda: worker.says("DIFY_API_KEY is not used: FLOW wins"))

    assert worker.says("running the function run of flow.py, 4 at once")


# The end.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_lets_what_runs_end_and_commits_it(tmp_path, topics, publish, number):
    topics.create("")
    publish(topics, {"hold": True})

    with working(tmp_path, **topics.settings()) as worker:
        worker.wait_for(lambda: bool(worker.noted("ran")))
        worker.signal(number)
        worker.wait_for(lambda: worker.says("what runs may end within 10 s"))
        assert worker.process.poll() is None
        (tmp_path / "go").touch()
        assert worker.ended() == 0

    assert len(worker.noted("done")) == 1
    assert topics.lag() == 0
    assert worker.said[-1]["succeeded"] == 1


def test_what_does_not_end_in_time_runs_again_elsewhere(tmp_path, here, publish):
    publish(here, {"hold": True})

    with working(tmp_path, **here.settings()) as worker:
        worker.wait_for(lambda: bool(worker.noted("ran")))
        worker.signal(signal.SIGTERM)
        assert worker.ended(25) == 0
    assert worker.says("1 runs have not ended; their records run again at the next owner")
    assert here.lag() == 1

    (tmp_path / "go").touch()
    with working(tmp_path, **here.settings()) as worker:
        worker.wait_for(lambda: len(worker.noted("done")) == 1)
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 0
    assert len(worker.noted("ran")) == 2
    assert here.lag() == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_it_at_once(tmp_path, here, publish, number, status):
    publish(here, {"hold": True})

    with working(tmp_path, **here.settings()) as worker:
        worker.wait_for(lambda: bool(worker.noted("ran")))
        worker.signal(signal.SIGTERM)
        worker.wait_for(lambda: worker.says("what runs may end"))
        worker.signal(number)
        assert worker.ended(5) == status

    assert worker.says("again: ended at once") or worker.says("SIGINT again: ended at once")
    assert here.lag() == 1


def test_threads_that_a_flow_leaves_behind_do_not_keep_the_process(tmp_path, here):
    (tmp_path / "mine.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait).start()\ndef run(record): return {}\n"
    )

    with working(tmp_path, **here.settings(FLOW="mine.py:run")) as worker:
        worker.wait_for(lambda: worker.says("consuming"))
        worker.signal(signal.SIGTERM)
        assert worker.ended(25) == 0


def test_without_kafka_it_waits_says_so_and_still_ends_with_status_0(tmp_path):
    (port,) = free_ports(1)
    settings = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}", "KAFKA_TOPIC": "t", "FLOW": "flow.py:run"}

    with working(tmp_path, **settings, HTTP_PORT=0) as worker:
        worker.wait_for(lambda: worker.says("cannot consume: connection refused"))
        sick = worker.get("/health")
        worker.signal(signal.SIGTERM)
        assert worker.ended(25) == 0

    assert (sick.status_code, sick.json()["reason"]) == (503, "connection refused")


@pytest.mark.real
def test_whose_name_another_member_takes_ends_with_status_1(tmp_path, kafka):
    topics = Topics(Broker(kafka.bootstrap, real=True))
    topics.create("")
    settings = topics.settings(GROUP_INSTANCE_ID="worker-0")
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()

    with working(folders[0], **settings) as one:
        one.wait_for(lambda: one.says(f"consuming {topics.name}["))
        with working(folders[1], **settings) as two:
            assert one.ended(40) == 1
            two.wait_for(lambda: two.says(f"consuming {topics.name}["))
            two.signal(signal.SIGTERM)
            assert two.ended() == 0

    assert one.says("cannot go on: Another member of the consumer group has the same name (group.instance.id)")


# Settings.


def test_all_that_is_wrong_is_told_and_the_status_is_2(tmp_path):
    ended = told(tmp_path, "--ordering", "alphabet", KAFKA_SASL_USERNAME="u", DIFY_API_URL="ftp://x", DIFY_API_KEY="k")

    assert (ended.returncode, ended.stdout) == (2, b"")
    lines = ended.stderr.decode().splitlines()
    assert lines[0] == "Error: the settings are wrong:"
    assert [line.split()[0].rstrip(":") for line in lines[1:]] == [
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_SASL_PASSWORD",
        "ORDERING",
        "KAFKA_TOPIC",
        "DIFY_API_URL",
    ]


def test_with_nothing_to_run_it_says_so(tmp_path):
    ended = told(tmp_path, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", KAFKA_TOPIC="t")

    assert ended.returncode == 2
    assert b"Nothing to run: give DIFY_API_KEY for an app of Dify's, or FLOW (--flow)" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("--sasl-password", "NEVERSHOWN"), "KAFKA_SASL_PASSWORD"),
        (("--dify-api-key=NEVERSHOWN",), "DIFY_API_KEY"),
        (("produce", "t", "v", "--ssl-key-pem", "NEVERSHOWN"), "KAFKA_SSL_KEY_PEM"),
    ],
)
def test_who_gives_a_secret_as_a_flag_is_told_where_it_goes(tmp_path, arguments, name):
    ended = told(tmp_path, *arguments)

    assert ended.returncode == 2
    assert f"A secret has no flag: give {name} in the environment or in .env" in ended.stderr.decode()
    assert b"NEVERSHOWN" not in ended.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file 'flow.py'"),
        ("def other(): pass", "has no function named 'run'"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
    ],
)
def test_a_flow_that_cannot_be_loaded_is_told(tmp_path, content, said):
    if content is not None:
        (tmp_path / "flow.py").write_text(content)

    ended = told(tmp_path, "--flow", "flow.py:run", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", KAFKA_TOPIC="t")

    assert ended.returncode == 2
    assert "FLOW (--flow): " in ended.stderr.decode()
    assert said in ended.stderr.decode()


@pytest.mark.parametrize("properties", [{"compression.type": "no-such"}, {"session.timeout.ms": "NEVERSHOWN"}])
def test_what_the_client_library_refuses_is_told_without_the_value(tmp_path, properties):
    (tmp_path / "flow.py").write_text(FLOW)
    ended = told(
        tmp_path,
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        KAFKA_TOPIC="t",
        FLOW="flow.py:run",
        KAFKA_CLIENT_CONFIG=json.dumps(properties),
    )

    (name,) = properties
    assert ended.returncode == 2
    assert f"KAFKA_CLIENT_CONFIG (--client-config): the client library refuses the value of {name}" in (
        ended.stderr.decode()
    )
    assert b"NEVERSHOWN" not in ended.stderr


def test_a_port_that_is_taken_is_told(tmp_path, here):
    with working(tmp_path, **here.settings(HTTP_PORT=0)) as first:
        first.wait_for(lambda: first.says("serving "))
        port = re.search(r"127\.0\.0\.1:(\d+)/health", "".join(first.lines))[1]
        ended = told(tmp_path, **here.settings(HTTP_PORT=port))

    assert ended.returncode == 1
    assert f"Error: HTTP_PORT {port} on 127.0.0.1: Address already in use" in ended.stderr.decode()


@pytest.mark.parametrize("mark", ["", "\N{ZERO WIDTH NO-BREAK SPACE}"], ids=["plain", "byte order mark"])
def test_a_file_of_variables_is_read_and_the_environment_wins(tmp_path, here, mark):
    (tmp_path / ".env").write_text(
        f"{mark}FLOW=flow.py:other\n"
        "# as in examples/worker.env\n"
        f"KAFKA_BOOTSTRAP_SERVERS={here.broker.bootstrap}\n"
        "KAFKA_TOPIC=from-file\nKAFKA_GROUP_ID=from-file\nexport FLOW='flow.py:run'\nOTHER=${HOME}\n"
    )

    with working(tmp_path, "--topic", "from-flag", KAFKA_GROUP_ID="from-environment") as worker:
        worker.wait_for(lambda: worker.says("consuming"))

    assert worker.says("consuming from-flag as from-environment, running the function run of flow.py")


def test_a_file_of_variables_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / ".env").write_bytes(b"KAFKA_TOPIC=\xff\xfe")

    ended = told(tmp_path)

    assert ended.returncode == 2
    assert ended.stderr.decode().splitlines()[-1] == "Error: .env cannot be read: UnicodeDecodeError"


@pytest.mark.parametrize("command", [(), ("produce",), ("redrive",)], ids=["worker", "produce", "redrive"])
def test_the_help_has_every_variable_and_no_secret(tmp_path, command):
    secrets = {name: "NEVERSHOWN" for name, row in VARIABLES.items() if row.secret}

    ended = told(tmp_path, *command, "--help", **secrets, COLUMNS=200)

    shown = ended.stdout.decode()
    beginnings = {(): "", ("produce",): ("KAFKA_S", "KAFKA_B", "KAFKA_CL"), ("redrive",): "REDRIVE_"}[command]
    wanted = [
        name for name in VARIABLES if name.startswith(beginnings) and (command or not name.startswith("REDRIVE_"))
    ]
    assert ended.returncode == 0
    assert [name for name in wanted if name not in shown] == []
    assert [row.flag for name, row in VARIABLES.items() if name in wanted and row.flag not in shown] == []
    assert "NEVERSHOWN" not in shown
    assert "Traceback" not in shown


def test_a_secret_is_in_no_line_whatever_goes_wrong(tmp_path, here):
    (port,) = free_ports(1)
    secrets = {"KAFKA_SASL_PASSWORD": "pw-NEVERSHOWN", "DIFY_API_KEY": "app-NEVERSHOWN"}
    settings = here.settings(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}", KAFKA_SASL_USERNAME="u", **secrets)
    (tmp_path / "mine.py").write_text("import logging\ndef run(record): return {}\nlogging.warning('pw-NEVERSHOWN')\n")

    with working(tmp_path, **{**settings, "FLOW": "mine.py:run"}) as worker:
        worker.wait_for(lambda: worker.says("cannot consume"))
        command_line = (tmp_path / f"/proc/{worker.process.pid}/cmdline").read_text()
        worker.signal(signal.SIGTERM)
        assert worker.ended(25) == 0

    ours = [line for line in worker.lines if line.startswith("{")]
    assert ours
    assert "NEVERSHOWN" not in "\n".join(ours) + command_line


# What it says.


def test_elsewhere_than_on_a_terminal_every_line_is_a_json_object(tmp_path, here, publish):
    publish(here, {"fail": True})

    with working(tmp_path, **here.settings(MAX_ATTEMPTS=1)) as worker:
        worker.wait_for(lambda: worker.says("dead-lettered"))
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 0

    assert all({"time", "level", "logger", "message"} <= one.keys() for one in worker.said)


def test_on_a_terminal_there_is_a_line_that_moves(tmp_path, here, publish):
    (tmp_path / "flow.py").write_text(FLOW)
    publish(here, {"n": 1}, {"fail": True})
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND],
        cwd=tmp_path,
        env=environment(**here.settings(MAX_ATTEMPTS=1), TERM="xterm", COLUMNS=200),
        stderr=slave,
    )
    os.close(slave)
    shown = bytearray()

    def read() -> None:
        # Linux says EIO when the last writer is gone.
        try:
            while piece := os.read(master, 4096):
                shown.extend(piece)
        except OSError:
            return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        wait_until(lambda: "1 succeeded · 1 failed · 0 retried · 1 dead-lettered · 0 in flight" in shown.decode(), 30)
        wait_until(lambda: "lag 0" in shown.decode(), 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        reader.join(20)
    finally:
        process.kill()
        process.wait()
        os.close(master)
    text = shown.decode()
    assert "records/s" in text
    assert re.search(r"\d\d:\d\d:\d\d WARNING dead-lettered ", text)
    assert not re.search(r"\{.time", text)


# The test producer.


def test_it_prints_where_each_record_lies(tmp_path, topics):
    topics.create("")
    settings = {"KAFKA_BOOTSTRAP_SERVERS": topics.broker.bootstrap}

    many = told(tmp_path, "produce", topics.name, "--count", "5", "--key", "k", "--header", "a=b=c", **settings)
    one = told(tmp_path, "produce", topics.name, "-", given=b"\x00\xff", **settings)

    assert (many.returncode, one.returncode) == (0, 0), many.stderr + one.stderr
    assert many.stderr.decode().splitlines()[-1] == "5 acknowledged"
    records = sorted(topics.read("", 6), key=lambda one: one.record.timestamp_ms or 0)
    places = [f"{topics.name}[{at.partition}] {at.offset}" for at in records]
    assert sorted(places) == sorted(many.stdout.decode().splitlines() + one.stdout.decode().splitlines())
    events = [at.record for at in records if at.record.key == b"k"]
    assert {dict(record.headers)["a"] for record in events} == {b"b=c"}
    assert [json.loads(record.value)["n"] for record in events] == [1, 2, 3, 4, 5]
    assert len({dict(record.headers)["ce_id"] for record in events}) == 5
    assert [at.record.value for at in records if at.record.key is None] == [b"\x00\xff"]


def test_what_is_given_before_or_after_its_name_counts(tmp_path, here):
    before = told(tmp_path, "--bootstrap-servers", here.broker.bootstrap, "produce", here.name, "x")
    after = told(
        tmp_path,
        "--bootstrap-servers",
        "127.0.0.1:1",
        "produce",
        "--bootstrap-servers",
        here.broker.bootstrap,
        here.name,
        "x",
    )

    assert (before.returncode, after.returncode) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("t", "x"), 1, "connection refused"),
        (("t",), 2, "give VALUE, - for stdin, or --count"),
        (("a/b", "x"), 2, "is no legal topic name"),
        (("t", "x", "--header", "no"), 2, "is given as NAME=VALUE"),
        (("t", "x", "--count", "0"), 2, "--count"),
        (("t", "x", "--rate", "0"), 2, "--rate"),
        (("t", "x", "--security-protocol", "TLS"), 2, "KAFKA_SECURITY_PROTOCOL (--security-protocol): must be one of"),
    ],
)
def test_what_it_cannot_write_is_told(tmp_path, arguments, status, said):
    (port,) = free_ports(1)

    ended = told(tmp_path, "produce", *arguments, KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}")

    assert ended.returncode == status
    assert said in ended.stderr.decode()
    assert "Traceback" not in ended.stderr.decode()
