import pytest

from kafka_bridge.ingress import schemes
from kafka_bridge.settings import table
from kafka_bridge.settings.endpoint import parse
from kafka_bridge.settings.table import CREDENTIALS, EVERY_SETTING, SETTINGS, Kind, Part

NUMBERS = ("concurrency", "max_attempts", "max_age_seconds", "keep_events")


def test_the_settings_are_those_of_the_design_in_its_order():
    names = """bootstrap_servers security_protocol sasl_mechanism sasl_username sasl_password oauth_token_url
        oauth_scope ssl_ca_pem ssl_certificate_pem ssl_key_pem ssl_key_password client_config publishing scheme
        webhook_secret topic key sources source_secrets topic_allow public_url app consume_topics group_id
        ordering concurrency max_attempts max_age_seconds offset_reset dead_letter_topic result_topic
        input_mapping consumer api_token keep_events mask_paths"""

    assert list(SETTINGS) == names.split()


def test_the_secrets_are_secrets():
    secrets = {"sasl_password", "ssl_key_pem", "ssl_key_password", "webhook_secret", "source_secrets", "api_token"}

    assert {name for name, setting in SETTINGS.items() if setting.kind is Kind.SECRET} == secrets


def test_no_two_settings_have_the_same_label():
    assert len({setting.label for setting in SETTINGS.values()}) == len(SETTINGS)


def test_a_select_and_nothing_else_has_options_and_its_default_is_one_of_them():
    for setting in SETTINGS.values():
        assert bool(setting.options) is (setting.kind is Kind.SELECT)
        assert setting.kind is not Kind.SELECT or setting.default in setting.options


def test_a_secret_never_has_a_default():
    assert {setting.default for setting in SETTINGS.values() if setting.kind is Kind.SECRET} == {""}


def test_the_select_offers_every_scheme_that_there_is():
    assert set(table.SCHEMES) == set(schemes.SCHEMES)


def test_the_default_scheme_verifies():
    assert schemes.SCHEMES[SETTINGS["scheme"].default].proof is not None


def test_a_consumer_starts_at_the_end_by_default():
    # Switching it on must not run a year of records through a model.
    assert SETTINGS["offset_reset"].default == "latest"
    assert SETTINGS["consumer"].default == "disabled"


def test_the_defaults_raise_no_problem():
    defaults = {name: setting.default for name, setting in SETTINGS.items() if setting.kind is not Kind.APP}

    assert [str(problem) for problem in parse(defaults).problems] == ["Bootstrap servers: missing."]


@pytest.mark.parametrize("name", NUMBERS)
def test_the_default_of_a_number_is_a_number(name):
    assert SETTINGS[name].default.isdigit() or SETTINGS[name].default == ""


def test_what_is_not_used_yet_stops_no_webhook():
    assert SETTINGS["public_url"].part is Part.MANAGE


def test_every_part_has_settings():
    assert {setting.part for setting in EVERY_SETTING.values()} == set(Part)


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        SETTINGS["new"] = SETTINGS["topic"]


def test_the_tools_connect_by_the_same_settings_as_the_endpoints():
    connection = {name: setting for name, setting in SETTINGS.items() if setting.part is Part.KAFKA}

    assert dict(list(CREDENTIALS.items())[: len(connection)]) == connection
    assert list(CREDENTIALS)[len(connection) :] == ["allow_admin", "allow_private_addresses"]
