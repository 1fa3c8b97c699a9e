"""A configuration is read whole, or refused in one line that names file, field and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config import BrokerConfig, load_configs, parse_configs, password_of
from edge.errors import ConfigError

GOOD = """
[broker]
host = "broker.example.org"
password_file = "shared.password"

[[edges]]
park = "p"
firm = "f"
edge = "e1"
buffer.path = "e1.buffer"
[[edges.devices]]
name = "meter"
host = "192.168.1.20"
points = [{ code = "E-001", address = 0, type = "u32", scale = 0.01 }]

[[edges]]
park = "p"
firm = "f"
edge = "e2"
buffer.path = "/var/lib/e2.buffer"
broker = { port = 8883, password = "geheim" }
"""


def test_one_file_describes_several_agents(tmp_path: Path) -> None:
    """Shared broker settings are overridden field by field; relative paths are relative to the file."""
    file = tmp_path / "edge.toml"
    file.write_text(GOOD)
    one, two = load_configs(file)
    assert one.topic.user == "p/f/e1"
    assert one.buffer.path == str(tmp_path / "e1.buffer")
    assert one.broker.password_file == str(tmp_path / "shared.password")
    assert one.devices[0].points[0].scale == 0.01
    assert (two.broker.host, two.broker.port, two.buffer.path) == ("broker.example.org", 8883, "/var/lib/e2.buffer")
    assert "geheim" not in repr(two)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('park = "p"\nfirm = "f"\nedge = "e1"', 'firm = "f"\nedge = "e1"', "edges[0]: .*missing required field `park`"),
        ('edge = "e1"', 'edge = "a/b"', "edges[0].edge: use letters"),
        ('edge = "e1"', 'edge = "e2"', "edges[1]: p/f/e2 stands already at edges[0]"),
        ('"u32"', '"u33"', "edges[0].devices[0].points[0].type: .*u33"),
        ("scale = 0.01", "scale = 0", "edges[0].devices[0].points[0].scale: expected a finite number"),
        ("scale = 0.01", "scale = inf", "edges[0].devices[0].points[0].scale: expected a finite number"),
        ("address = 0", "address = 65535", "edges[0].devices[0].points[0].address: a u32 from 65535 ends above"),
        (
            'name = "meter"',
            'name = "meter"\noptions.baud = 9600',
            "edges[0].devices[0].options: .*knows none, got baud",
        ),
        ("address = 0", "address = 70000", "edges[0].devices[0].points[0].address: .*65535"),
        ('name = "meter"', 'name = "meter"\nprotocol = "iec"', "edges[0].devices[0].protocol: 'iec'; known are modbus"),
        ('name = "meter"', 'name = "meter"\npol_s = 5', "edges[0].devices[0]: .*pol_s"),
        ('"/var/lib/e2.buffer"', '"e1.buffer"', "edges[1].buffer.path: edges[0] has the same"),
        ('host = "broker.example.org"', "host = 5", "edges[0].broker.host: Expected `str`"),
        ("[broker]", "[brokr]", "brokr: unknown"),
        ("[broker]", "[broker", "not TOML"),
        (GOOD, "", "edges: expected at least one"),
    ],
)
def test_a_mistake_is_named_with_its_place(old: str, new: str, said: str) -> None:
    """File, field, expectation, in one line."""
    assert old in GOOD
    with pytest.raises(ConfigError, match=said.replace("[", "\\[")) as caught:
        parse_configs(GOOD.replace(old, new, 1), Path("/etc/edge.toml"))
    assert str(caught.value).startswith("/etc/edge.toml: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The path and the reason, no traceback."""
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load_configs(tmp_path / "none.toml")


def test_the_password_comes_from_where_the_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the field, a file or a variable; what is named and not there is an error."""
    (tmp_path / "pw").write_text("from-file\n")
    monkeypatch.setenv("EDGE_PW", "from-env")
    assert password_of(BrokerConfig(password="direct")) == "direct"
    assert password_of(BrokerConfig(password_file=str(tmp_path / "pw"))) == "from-file"
    assert password_of(BrokerConfig(password_env="EDGE_PW")) == "from-env"
    assert password_of(BrokerConfig()) is None
    with pytest.raises(ConfigError, match=r"broker\.password_file"):
        password_of(BrokerConfig(password_file=str(tmp_path / "none")))
    with pytest.raises(ConfigError, match="variable NONE_SUCH is not set"):
        password_of(BrokerConfig(password_env="NONE_SUCH"))
