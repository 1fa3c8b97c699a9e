"""The broker: lets us in, speaks MQTT 5, keeps what it acknowledges, and keeps strangers out."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from cli.checks.finding import Finding, bad, look, ok, warn
from cli.errors import BrokerAwayError, BrokerError, BrokerRefusedError, CliError
from cli.mqtt import Session, linked
from ingest.errors import SettingsError
from ingest.inbox import Address, parse_broker_url
from ingest.settings import IngestSettings
from park.wire import MAX_PAYLOAD_BYTES, Channel, Topic

if TYPE_CHECKING:
    from cli.mqtt import Link, Received, Welcome
    from cli.settings import Settings

MOSQUITTO_INFLIGHT: Final = 20
"""mosquitto's default `max_inflight_messages`, which it announces as receive maximum."""
_SESSION_S: Final = IngestSettings("", "").session_expiry_s
_WAIT_S: Final = 3.0
_CODES: Final = {
    0x84: "unsupported protocol version",
    0x85: "client id not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
}
_LIMITS: Final = "max_inflight_messages 1000, max_queued_messages 1000000, max_queued_bytes 536870912"


async def examine_broker(settings: Settings) -> list[Finding]:
    """Look at the broker that the settings name."""
    try:
        address = parse_broker_url(settings.broker_url)
    except CliError as error:
        return [bad("broker", "no address is set", str(error))]
    except SettingsError as error:
        return [bad("broker", str(error), "set GREENPARK_BROKER_URL to mqtt://user:password@host:port")]
    ca_file = settings.sections.get("ingest", {}).get("ca_file")
    return [
        *await look("broker", _logged_in, address, ca_file),
        *await look("broker encryption", check_encryption, address),
        *await look("anonymous access", check_anonymous, address, ca_file),
    ]


async def _logged_in(address: Address, ca_file: str | None) -> list[Finding]:
    # A listener may replace our client id by the user name and so hand us ingest's own session: with clean start off
    # and nothing acknowledged it is left as it was.
    session = Session(_client_id(), clean=False, expiry_s=_SESSION_S, manual_ack=True, ca_file=ca_file)
    try:
        async with linked(address, session) as link:
            findings = [ok("broker", f"{address!r} answers MQTT 5 and lets us in")]
            findings += judge_limits(link.welcome)
            if link.welcome.session_present:
                findings.append(_shared_identity())
                return findings
            findings += await look("shared subscriptions", _check_shared, link)
            findings += await look("round trip", _check_round_trip, link)
            findings += await look("broker version", _check_version, link)
            return findings
    except BrokerRefusedError as error:
        if error.code == 0x84:
            return [_no_mqtt5(address)]
        return [_refused(address, error)]
    except BrokerAwayError as error:
        if await _speaks_3_1_1(address, ca_file):
            return [_no_mqtt5(address)]
        return [
            bad(
                "broker",
                str(error),
                "see whether it runs (systemctl status mosquitto), whether host and port in GREENPARK_BROKER_URL, or"
                " url in [broker], are right, and whether mqtt:// or mqtts:// fits its listener",
            )
        ]


def _client_id() -> str:
    return f"greenpark-doctor-{secrets.token_hex(4)}"


def _no_mqtt5(address: Address) -> Finding:
    return bad(
        "broker",
        f"{address!r} speaks MQTT 3.1.1 only; shared subscriptions and reasons for refusals need MQTT 5",
        "use a broker with MQTT 5, such as mosquitto 2.0 (apt-get install mosquitto)",
    )


def _refused(address: Address, error: BrokerRefusedError) -> Finding:
    user = address.user or ""
    reason = _CODES.get(error.code, f"reason {error.code:#04x}")
    return bad(
        "broker",
        f"{address!r} answers, but refuses the log-in: {reason}",
        f"give the user a password: mosquitto_passwd PASSWORD_FILE '{user or 'ingest'}', reload the broker, and set"
        " GREENPARK_BROKER_URL to mqtt://user:password@host:port (percent-encoded)",
    )


def _shared_identity() -> Finding:
    return warn(
        "client id",
        "this listener replaces the client id by the user name, so this visit took over the connection of whoever uses"
        " the same user; nothing of it was lost, and nothing more was tried",
        "use_username_as_clientid true belongs on the edges' listener; give ingest a listener of its own",
    )


async def _speaks_3_1_1(address: Address, ca_file: str | None) -> bool:
    try:
        async with linked(address, Session(_client_id(), v5=False, ca_file=ca_file)):
            return True
    except BrokerError:
        return False


def judge_limits(welcome: Welcome) -> list[Finding]:
    """Judge what the broker announced; a limit that it does not announce is the standard's own."""
    limits = welcome.limits
    findings = []
    receive = limits.get("ReceiveMaximum", 65_535)
    if receive <= MOSQUITTO_INFLIGHT:
        findings.append(
            warn(
                "broker limits",
                f"receive maximum {receive}: mosquitto's defaults are suspected. With them a queue holds 1000 messages,"
                " and what comes beyond in a burst is acknowledged to the publisher and silently dropped",
                f"in mosquitto.conf: {_LIMITS}; then restart it",
            )
        )
    else:
        findings.append(ok("broker limits", f"receive maximum {receive}"))
    packet = limits.get("MaximumPacketSize")
    if packet is not None and packet < MAX_PAYLOAD_BYTES:
        findings.append(
            warn(
                "packet size",
                f"the broker takes at most {packet} bytes; a batch may have {MAX_PAYLOAD_BYTES}",
                f"in mosquitto.conf: max_packet_size {2 * MAX_PAYLOAD_BYTES}",
            )
        )
    else:
        findings.append(ok("packet size", f"{packet} bytes" if packet is not None else "no limit announced"))
    if limits.get("MaximumQoS", 2) < 1:
        findings.append(
            bad("quality of service", "the broker does QoS 0 only: messages get lost", "in mosquitto.conf: max_qos 2")
        )
    expiry_s = limits.get("SessionExpiryInterval", _SESSION_S)
    if expiry_s < 86_400:
        findings.append(
            warn(
                "session expiry",
                f"the broker keeps what waits for ingest for {expiry_s} s only",
                "in mosquitto.conf: persistent_client_expiration 14d (other brokers: the session expiry limit)",
            )
        )
    else:
        findings.append(ok("session expiry", f"{expiry_s / 86_400:.0f} days granted"))
    if not limits.get("RetainAvailable", 1):
        findings.append(
            bad(
                "retained messages",
                "not available: an edge that connects is not told what is stored",
                "in mosquitto.conf: retain_available true",
            )
        )
    if not limits.get("SharedSubscriptionAvailable", 1):
        findings.append(_no_sharing("the broker announces that it has none"))
    return findings


def _no_sharing(found: str) -> Finding:
    return bad(
        "shared subscriptions",
        f"{found}; ingest takes its messages through one",
        "use a broker with MQTT 5 such as mosquitto 2.0",
    )


def _topic(channel: Channel) -> str:
    """Return a topic that belongs to no edge."""
    return str(Topic("doctor", "doctor", f"visit-{secrets.token_hex(4)}", channel))


async def _check_shared(link: Link) -> Finding:
    code = await link.subscribe(f"$share/doctor-{secrets.token_hex(4)}/{_topic(Channel.EVENT)}")
    if code >= 0x80:
        return _no_sharing(f"refused with reason {code:#04x}")
    return ok("shared subscriptions", "granted")


async def _check_round_trip(link: Link) -> list[Finding]:
    """Publish and get back, retained and live, on topics that ingest's user may write and read."""
    kept, live = _topic(Channel.COMMITTED), _topic(Channel.CONFIG)
    try:
        await link.publish(kept, b"doctor", retain=True)
    except BrokerRefusedError:
        return [
            warn(
                "round trip",
                "not tried: this user may not publish to greenpark/1/+/+/+/committed, as ingest's user must",
                "if this is ingest's user, add to the ACL file: topic write greenpark/1/+/+/+/committed",
            )
        ]
    try:
        await link.subscribe(kept)
        await link.subscribe(live)
        retained = await _get(link, kept)
        began = time.perf_counter()
        await link.publish(live, b"doctor")
        back = await _get(link, live)
        took_ms = (time.perf_counter() - began) * 1e3
    finally:
        await link.publish(kept, b"", retain=True)
    if back is None:
        return [
            warn(
                "round trip",
                f"the broker took a message and did not give it back within {_WAIT_S:.0f} s",
                "if this is ingest's user, add to the ACL file: topic read greenpark/1/#",
            )
        ]
    findings = [ok("round trip", f"QoS 1 there and back in {took_ms:.1f} ms")]
    if retained is None or not retained.retained:
        findings.append(
            bad("retained messages", "a retained message was not kept", "in mosquitto.conf: retain_available true")
        )
    else:
        findings.append(ok("retained messages", "kept"))
    return findings


async def _get(link: Link, topic: str) -> Received | None:
    try:
        async with asyncio.timeout(_WAIT_S):
            while (received := await link.messages.get()).topic != topic:
                pass
            return received
    except TimeoutError:
        return None


async def _check_version(link: Link) -> list[Finding]:
    """What mosquitto tells of itself, to users that may read it."""
    for topic in ("$SYS/broker/version", "$SYS/broker/publish/messages/dropped"):
        await link.subscribe(topic, 0)
    said: dict[str, str] = {}
    deadline = time.monotonic() + 1.0
    while len(said) < 2 and (left_s := deadline - time.monotonic()) > 0:
        try:
            received = await asyncio.wait_for(link.messages.get(), left_s)
        except TimeoutError:
            break
        said[received.topic.rpartition("/")[2]] = received.payload.decode(errors="replace")
    return judge_version(said)


def judge_version(said: dict[str, Any]) -> list[Finding]:
    """Judge mosquitto's version and its count of dropped messages, where they could be read."""
    if "version" not in said:
        return [ok("broker version", "this user may not read $SYS, or the broker has none: not known")]
    numbers = tuple(int(part) for part in said["version"].split()[-1].split(".") if part.isdigit())
    findings = [ok("broker version", said["version"])]
    if "mosquitto" in said["version"] and numbers < (2, 0, 11):
        findings = [warn("broker version", said["version"], "use mosquitto 2.0.11 or later: apt-get install mosquitto")]
    if int(said.get("dropped", "0") or 0) > 0:
        findings.append(
            warn(
                "dropped messages",
                f"the broker has dropped {said['dropped']} messages since it started: a queue was full",
                f"in mosquitto.conf: {_LIMITS}; see that ingest runs",
            )
        )
    return findings


def check_encryption(address: Address) -> Finding:
    """Passwords and readings do not cross a network in the clear."""
    if address.tls:
        return ok("broker encryption", "TLS")
    if is_loopback(address.host):
        return ok("broker encryption", "none, and none is needed on this machine itself")
    return warn(
        "broker encryption",
        f"passwords and readings cross the network to {address.host} in the clear",
        "give the broker a TLS listener (listener 8883, cafile, certfile, keyfile) and use mqtts:// in"
        " GREENPARK_BROKER_URL",
    )


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def check_anonymous(address: Address, ca_file: str | None) -> list[Finding]:
    """Nobody gets in without a name."""
    stranger = Address(address.host, address.port, address.tls, None, None)
    try:
        async with linked(stranger, Session(_client_id(), ca_file=ca_file)):
            return [
                bad(
                    "anonymous access",
                    "the broker lets anyone in without user and password: readings can be forged",
                    "in mosquitto.conf: allow_anonymous false, password_file …, acl_file …; then restart it",
                )
            ]
    except BrokerRefusedError:
        return [ok("anonymous access", "refused")]
    except BrokerAwayError:
        return []  # told already
