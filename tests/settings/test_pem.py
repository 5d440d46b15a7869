import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.settings.pem import NotPem, normalise

CERTIFICATE, KEY = "CERTIFICATE", "PRIVATE KEY"
# Names of the `pems` fixture, and what their field expects.
KINDS = {
    "certificate": CERTIFICATE,
    "chain": CERTIFICATE,
    "key": KEY,
    "encrypted": KEY,
    "traditional": KEY,
    "legacy": KEY,
}
PASTED = {
    "as the file": lambda pem: pem,
    "on one line": lambda pem: pem.replace("\n", " "),
    "on one line without the last space": lambda pem: pem.replace("\n", " ").strip(),
    "with literal \\n": lambda pem: pem.replace("\n", "\\n"),
    "with literal \\r\\n": lambda pem: pem.replace("\n", "\\r\\n"),
    "with CR LF": lambda pem: pem.replace("\n", "\r\n"),
    "with tabs": lambda pem: pem.replace("\n", "\t"),
    "indented": lambda pem: pem.replace("\n", "\n    "),
    "among other text": lambda pem: f"subject=CN = x\n{pem}\nissuer=CN = x\n",
    "as base64 of the file": lambda pem: base64.b64encode(pem.encode()).decode(),
    "as base64 on several lines": lambda pem: base64.encodebytes(pem.encode()).decode(),
    "as base64 with spaces": lambda pem: base64.encodebytes(pem.encode()).decode().replace("\n", " "),
    "as base64 with literal \\n": lambda pem: base64.encodebytes(pem.encode()).decode().replace("\n", "\\n"),
    "as base64 of a file with CR LF": lambda pem: base64.b64encode(pem.replace("\n", "\r\n").encode()).decode(),
}


@pytest.mark.parametrize("form", PASTED.values(), ids=PASTED)
@pytest.mark.parametrize("kind", KINDS)
def test_a_pem_comes_out_as_the_file_it_was_however_it_was_pasted(pems, kind, form):
    file = pems.texts[kind]

    assert normalise(form(file), expect=KINDS[kind]) == file


@pytest.mark.parametrize("kind", ["key", "encrypted", "traditional", "legacy"])
def test_openssl_reads_the_key_from_what_was_one_line(pems, kind):
    one_line = pems.texts[kind].replace("\n", " ")

    read = pems.public_key_of_key(normalise(one_line, expect=KEY))

    assert read == pems.public_key_of_certificate(pems.texts["certificate"])


def test_openssl_reads_the_certificate_from_what_was_one_line(pems):
    one_line = pems.texts["chain"].replace("\n", " ")

    read = pems.public_key_of_certificate(normalise(one_line, expect=CERTIFICATE))

    assert read == pems.public_key_of_key(pems.texts["key"])


@pytest.mark.parametrize(("wanted", "beside"), [("key", "certificate"), ("certificate", "key"), ("key", "parameters")])
def test_only_what_belongs_into_the_field_is_taken_of_a_whole_file(pems, wanted, beside):
    files = [pems.texts[wanted], pems.texts[beside]]

    for file in ("".join(files), "".join(reversed(files))):
        assert normalise(file.replace("\n", " "), expect=KINDS[wanted]) == pems.texts[wanted]


@pytest.mark.parametrize(
    ("pasted", "expect"), [("key", CERTIFICATE), ("encrypted", CERTIFICATE), ("certificate", KEY), ("chain", KEY)]
)
def test_the_wrong_kind_is_refused(pems, pasted, expect):
    with pytest.raises(NotPem, match=f"holds no block named {expect}"):
        normalise(pems.texts[pasted], expect=expect)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a pem",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE----- MIIB",
        "-----BEGIN CERTIFICATE----- MIIB -----END PRIVATE KEY-----",
        "/etc/ssl/certs/ca.pem",
        base64.b64encode(b"not a pem").decode(),
        base64.b64encode(b"\xff\xfe\x00").decode(),
        "é",
        "\ud800",
    ],
)
def test_a_text_without_a_block_is_not_pem(text):
    with pytest.raises(NotPem, match="is not PEM"):
        normalise(text, expect=CERTIFICATE)


@pytest.mark.parametrize("body", ["MII*", "MIIBa", "MIIB … MIIB", "MIIBé===", "MIIB\ud800", "MII=B"])
def test_a_damaged_block_is_refused(body):
    with pytest.raises(NotPem, match="has a damaged block"):
        normalise(f"-----BEGIN CERTIFICATE----- {body} -----END CERTIFICATE-----", expect=CERTIFICATE)


def test_a_certificate_that_lost_a_character_is_refused(pems):
    damaged = pems.texts["certificate"].replace("MII", "MI", 1)

    with pytest.raises(NotPem, match="has a damaged block"):
        normalise(damaged, expect=CERTIFICATE)


@pytest.mark.parametrize("body", ["", " ", "\\n"])
def test_an_empty_block_is_refused(body):
    with pytest.raises(NotPem, match="has an empty block"):
        normalise(f"-----BEGIN CERTIFICATE-----{body}-----END CERTIFICATE-----", expect=CERTIFICATE)


def test_what_is_wrong_is_told_without_the_text():
    with pytest.raises(NotPem) as caught:
        normalise("-----BEGIN RSA PRIVATE KEY----- c2VjcmV0* -----END RSA PRIVATE KEY-----", expect=KEY)

    assert "c2VjcmV0" not in str(caught.value)


blocks = st.builds(
    "-----BEGIN {0}-----{1}-----END {2}-----".format,
    st.sampled_from([CERTIFICATE, KEY, "RSA PRIVATE KEY"]),
    st.text(st.sampled_from("ABab01+/= \n\t\\nré\ud800*")) | st.text(),
    st.sampled_from([CERTIFICATE, KEY]),
)


@given(st.text() | blocks, st.sampled_from([CERTIFICATE, KEY]))
def test_any_text_is_normalised_or_not_pem_and_nothing_else(text, expect):
    try:
        normalised = normalise(text, expect=expect)
    except NotPem:
        return
    assert normalise(normalised, expect=expect) == normalised


@pytest.mark.parametrize("repeated", ["-----BEGIN A-----", "-----BEGIN A-----\n-----END B-----", "A", "-", " "])
def test_a_text_that_is_no_pem_is_refused_in_no_time(repeated):
    # Settings may be four times as long, and while they are parsed the process serves nobody else.
    text, started = repeated * (64 * 1024 // len(repeated)), time.process_time()

    with pytest.raises(NotPem):
        normalise(text, expect=CERTIFICATE)

    assert time.process_time() - started < 0.5


@given(st.binary(min_size=1), st.sampled_from(["\n", " ", "\\n", "\r\n"]))
def test_the_content_of_a_block_is_never_changed(content, line_end):
    packed = base64.encodebytes(content).decode().strip().replace("\n", line_end)
    text = f"-----BEGIN CERTIFICATE-----{line_end}{packed}{line_end}-----END CERTIFICATE-----"

    lines = normalise(text, expect=CERTIFICATE).splitlines()

    assert base64.b64decode("".join(lines[1:-1])) == content
    assert max(map(len, lines)) <= 64
