"""Settings come from a file and the environment, the environment wins, and what nobody knows is told by its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.settings import AlertsSettings
from api.settings import ApiSettings
from cli.errors import MissingError, SettingsError
from cli.settings import Settings, load_settings
from ingest.settings import IngestSettings

FILE_URL = "postgresql://u:infile@h/d"
ENVIRON_URL = "postgresql://u:inenviron@h/d"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "address"
    file.write_text(FILE_URL + "\n")
    return file


def settings(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    file = tmp_path / "greenpark.toml"
    file.write_text(text)
    return load_settings(file, environ or {})


def test_a_variable_beats_a_field(tmp_path: Path) -> None:
    """Where both give a field, the variable counts; the fields beside it stay."""
    found = settings(tmp_path, '[api]\nport = 1\nhost = "h"\n', {"GREENPARK_API_PORT": "2"})
    given = found.room("api", ApiSettings, database_url="d")
    assert (given.port, given.host) == (2, "h")


@pytest.mark.parametrize("form", ["url", "url_file"])
def test_an_address_in_the_environment_beats_any_form_of_it_in_the_file(
    tmp_path: Path, secret: Path, form: str
) -> None:
    """Neither `url` nor `url_file` of the file counts beside a variable, whichever form that has."""
    text = f'[database]\n{form} = "{secret if form == "url_file" else FILE_URL}"\n'
    assert settings(tmp_path, text).database_url == FILE_URL
    assert settings(tmp_path, text, {"GREENPARK_DATABASE_URL": ENVIRON_URL}).database_url == ENVIRON_URL
    other = tmp_path / "other"
    other.write_text(ENVIRON_URL)
    assert settings(tmp_path, text, {"GREENPARK_DATABASE_URL_FILE": str(other)}).database_url == ENVIRON_URL


def test_a_file_that_does_not_count_need_not_be_readable(tmp_path: Path) -> None:
    """The `url_file` that a variable replaces is not even opened."""
    text = '[database]\nurl_file = "/nowhere/at/all"\n'
    assert settings(tmp_path, text, {"GREENPARK_DATABASE_URL": ENVIRON_URL}).database_url == ENVIRON_URL
    with pytest.raises(SettingsError, match="/nowhere/at/all: No such file"):
        settings(tmp_path, text)


def test_an_address_given_twice_in_one_place_is_refused(tmp_path: Path, secret: Path) -> None:
    """Two forms of one address in the same place: nobody guesses which was meant."""
    with pytest.raises(SettingsError, match="not both"):
        settings(tmp_path, f'[broker]\nurl = "mqtt://h"\nurl_file = "{secret}"\n')
    environ = {"GREENPARK_BROKER_URL": "mqtt://h", "GREENPARK_BROKER_URL_FILE": str(secret)}
    with pytest.raises(SettingsError, match="GREENPARK_BROKER_URL and GREENPARK_BROKER_URL_FILE"):
        load_settings(None, environ)


@pytest.mark.parametrize(
    ("variable", "advice"),
    [
        ("GREENPARK_DATABSE_URL", "did you mean GREENPARK_DATABASE_URL?"),
        ("GREENPARK_INGESTION_LANES", "did you mean GREENPARK_INGEST_LANES?"),
        ("GREENPARK_WHATEVER", "write GREENPARK_<SECTION>_<FIELD>"),
        ("GREENPARK_DATABASE", "write GREENPARK_<SECTION>_<FIELD>"),
        ("GREENPARK_DATABASE_ULR", "did you mean url?"),
    ],
)
def test_a_variable_that_nobody_knows_is_an_error_that_names_it(variable: str, advice: str) -> None:
    """A misspelt variable is not silence: its name and what was meant are told."""
    with pytest.raises(SettingsError) as error:
        load_settings(None, {variable: "1"})
    assert error.value.where == variable
    assert advice in str(error.value)


def test_an_unknown_field_of_a_room_names_the_variable_or_the_files_section(tmp_path: Path) -> None:
    """The message leads to where the mistake stands, and to the nearest name."""
    given = {"database_url": "d", "broker_url": "b"}
    found = settings(tmp_path, "", {"GREENPARK_INGEST_LANE": "2"})
    with pytest.raises(SettingsError, match=r"^GREENPARK_INGEST_LANE: unknown; did you mean lanes\?"):
        found.room("ingest", IngestSettings, **given)
    found = settings(tmp_path, "[ingest]\nlane = 2\n")
    with pytest.raises(SettingsError, match=r"greenpark\.toml \[ingest\] lane: unknown; did you mean lanes\?"):
        found.room("ingest", IngestSettings, **given)


def test_a_value_of_the_wrong_type_names_the_variable() -> None:
    """A port that is no number is told by the variable's name."""
    found = load_settings(None, {"GREENPARK_API_PORT": "tcp://10.0.0.1:80"})
    with pytest.raises(SettingsError, match=r"^GREENPARK_API_PORT: Expected"):
        found.room("api", ApiSettings, database_url="d")


def test_variables_of_others_are_left_alone() -> None:
    """What Kubernetes, Grafana and our own scripts set is no setting and no error."""
    environ = {
        "GREENPARK_SETTINGS": "x", "GREENPARK_LANG": "en", "GREENPARK_GRAFANA_DB_USER": "g", "GREENPARK_SECRETS": "/s",
        "GREENPARK_SERVICE_HOST": "10.0.0.1", "GREENPARK_PORT_80_TCP_ADDR": "10.0.0.1", "HOME": "/",
    }  # fmt: skip
    assert load_settings(None, environ).sections == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[database\n", "not TOML"),
        ("[databse]\n", r"\[databse\]: unknown section"),
        ("port = 1\n", "unknown section"),
        ("api = 1\n", "belongs into a section"),
        ("[database]\nurl_file = 3\n", "name of a file"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(tmp_path: Path, text: str, message: str) -> None:
    """Bad TOML, unknown sections and stray values name the file."""
    with pytest.raises(SettingsError, match=message) as error:
        settings(tmp_path, text)
    assert "greenpark.toml" in str(error.value)


def test_what_is_missing_names_the_variable() -> None:
    """Without an address, the message says which variable to set, and to what."""
    with pytest.raises(MissingError, match="GREENPARK_BROKER_URL"):
        _ = load_settings(None, {}).broker_url


def test_no_secret_stands_in_the_representation(secret: Path) -> None:
    """Neither an address nor the content of its file shows in `repr`."""
    found = load_settings(None, {"GREENPARK_DATABASE_URL_FILE": str(secret), "GREENPARK_BROKER_URL": "mqtt://u:hush@h"})
    assert "infile" not in repr(found)
    assert "hush" not in repr(found)


def test_a_file_name_becomes_a_path() -> None:
    """A text where a room wants a path is taken as one."""
    found = load_settings(None, {"GREENPARK_ALERTS_RULES_FILE": "/etc/rules.toml"})
    assert found.room("alerts", AlertsSettings, database_url="d").rules_file == Path("/etc/rules.toml")
