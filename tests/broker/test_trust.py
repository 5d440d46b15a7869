import certifi

from kafka_bridge.broker import trust


def test_a_bundle_that_the_environment_names_comes_first(monkeypatch, tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))

    assert trust.default_ca_file() == str(bundle)


def test_a_bundle_that_is_not_there_is_passed_over(monkeypatch, tmp_path):
    system = tmp_path / "system.pem"
    system.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    monkeypatch.setattr(trust, "_SYSTEM", (str(tmp_path / "other.pem"), str(system)))

    assert trust.default_ca_file() == str(system)


def test_a_system_without_a_bundle_has_the_one_of_certifi(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setattr(trust, "_SYSTEM", ())

    assert trust.default_ca_file() == certifi.where()
