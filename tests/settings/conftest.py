"""Certificates and keys, made anew per run by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSPHRASE = "not-a-real-passphrase"


@dataclass(frozen=True)
class Pems:
    """PEM texts as openssl writes them into files, and openssl to read them back."""

    folder: Path

    def make(self, *arguments: str) -> str:
        return self._openssl(*arguments)

    def public_key_of_certificate(self, pem: str) -> str:
        return self._openssl("x509", "-noout", "-pubkey", given=pem)

    def public_key_of_key(self, pem: str) -> str:
        return self._openssl("pkey", "-pubout", "-passin", f"pass:{PASSPHRASE}", given=pem)

    def _openssl(self, *arguments: str, given: str = "") -> str:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, input=given, capture_output=True, text=True, check=True
        )
        return done.stdout

    @property
    def texts(self) -> dict[str, str]:
        return {path.stem: path.read_text() for path in self.folder.glob("*.pem")}


@pytest.fixture(scope="session")
def pems(tmp_path_factory) -> Pems:
    """`certificate`, `chain` (two of them), `key` and the same key in other forms."""
    made = Pems(tmp_path_factory.mktemp("pems"))
    for number in ("", "2"):
        subject = f"/CN=test{number}.example.com"
        made.make("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                  "-subj", subject, "-keyout", f"key{number}.pem", "-out", f"certificate{number}.pem")  # fmt: skip
    certificates = [made.texts[name] for name in ("certificate", "certificate2")]
    (made.folder / "chain.pem").write_text("".join(certificates))
    secret = ("-passout", f"pass:{PASSPHRASE}")
    made.make("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", "key.pem", "-out", "encrypted.pem", *secret)
    made.make("pkey", "-traditional", "-in", "key.pem", "-out", "traditional.pem")
    made.make("pkey", "-traditional", "-aes256", "-in", "key.pem", "-out", "legacy.pem", *secret)
    made.make("ecparam", "-name", "prime256v1", "-out", "parameters.pem")
    return made
