import pytest
from pydantic import Field, SecretStr, ValidationError
from warmlane_runtime.settings import HttpSettings, LogSettings, NatsSettings, Settings, SettingsError, load


class Everything(Settings):
    log: LogSettings = Field(default_factory=LogSettings)
    nats: NatsSettings = Field(default_factory=NatsSettings)
    s3_secret_key: SecretStr


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("WARMLANE_S3_SECRET_KEY", "planted-secret")


def test_groups_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("WARMLANE_LOG_LEVEL", "debug")
    monkeypatch.setenv("WARMLANE_NATS_URL", "nats://u:planted@h:1")
    settings = load(Everything)
    assert settings.log.log_level == "debug"
    assert settings.nats.nats_url.get_secret_value() == "nats://u:planted@h:1"
    assert "planted" not in repr(settings)


def test_settings_never_change():
    with pytest.raises(ValidationError):
        load(Everything).log.log_level = "debug"


def test_every_fault_is_named_and_no_value_is_shown(monkeypatch):
    monkeypatch.setenv("WARMLANE_HTTP_PORT", "planted-secret")
    with pytest.raises(SettingsError) as fault:
        load(HttpSettings)
    assert "WARMLANE_HTTP_PORT" in str(fault.value)
    assert "planted-secret" not in str(fault.value)
    assert fault.value.__cause__ is None
    assert fault.value.__suppress_context__


def test_a_missing_secret_is_named(monkeypatch):
    monkeypatch.delenv("WARMLANE_S3_SECRET_KEY")
    with pytest.raises(SettingsError, match="WARMLANE_S3_SECRET_KEY: Field required"):
        load(Everything)


def test_an_empty_variable_counts_as_unset(monkeypatch):
    monkeypatch.setenv("WARMLANE_LOG_LEVEL", "")
    assert load(LogSettings).log_level == "info"
