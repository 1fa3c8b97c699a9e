"""What can be set for alerts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003  (dataclass fields are read at run time)


@dataclass(frozen=True, slots=True)
class AlertsSettings:
    """Settings of the alerts room.

    Attributes:
        database_url: where the store is.
        rules_file: rules instead of the package's own (`alerts/data/rules.toml`).
        public_url: where people open the links in messages; empty: messages carry no link.
        evaluate_every_s: how often to look when no notification came.
        min_pass_s: least time between two passes.
        sweep_every_s: how often to go back over `late_s`, and to review episodes for retraction.
        late_s: how late readings may come and still be looked at by the rules that read them directly; indicator rows
            are looked at over the whole of `catch_up_s` in each pass.
        catch_up_s: how far back in event time samples are looked for, also after a stop.
        history_days: how far back late and corrected data, and what a stop has missed, are still judged by rules folded
            over event time; what is older stands as it is.
        review_s: how long a resolved episode can still be retracted.
        deliver_every_s: how often to look for due messages when nobody rang.
        in_flight: how many messages are on their way at once, one per recipient.
        send_timeout_s: how long one receiver may take.
        lease_margin_s: how much longer than that a claimed message is left alone, before another worker sends it again.
        news_s: an episode that was over, or last seen, longer ago is told to nobody: old data are no news.
        attend_every_s: how often to look for summaries, escalations, digests and failing channels that are due.
        summary_every_s: how long after a recipient's limit was reached the summary of what it held back comes.
        channel_alarm_s: how long a recipient's channel may fail before others are told.
        channel_threads: how many sends of channels that block run at once; one that hangs keeps its thread.
        email_url_file: file with the account that sends e-mail, as an Apprise URL:
            `mailtos://user:password@host:port?from=alerts@park.example`.
        sms_url_file: file with the account of the SMS gateway: `aliyunsms://KEY_ID:KEY_SECRET@TEMPLATE_CODE/?sign=SIGN_NAME`.
        address_key_file: file with the key that seals addresses in the database; `greenpark recipient seal` makes it.
        message_ttl_s: after this long an undelivered message is given up and reported as expired.
        backoff_s, backoff_max_s: first and longest pause before a message is tried again.
    """

    database_url: str = field(repr=False)
    rules_file: Path | None = None
    public_url: str = ""
    evaluate_every_s: float = 5.0
    min_pass_s: float = 1.0
    sweep_every_s: float = 30.0
    late_s: float = 300.0
    catch_up_s: float = 3600.0
    history_days: float = 35.0
    review_s: float = 172_800.0
    deliver_every_s: float = 1.0
    in_flight: int = 32
    send_timeout_s: float = 10.0
    news_s: float = 86_400.0
    attend_every_s: float = 5.0
    summary_every_s: float = 900.0
    channel_alarm_s: float = 300.0
    channel_threads: int = 16
    email_url_file: Path | None = None
    sms_url_file: Path | None = None
    address_key_file: Path | None = None
    lease_margin_s: float = 30.0
    message_ttl_s: float = 86_400.0
    backoff_s: float = 5.0
    backoff_max_s: float = 900.0
