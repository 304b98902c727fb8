"""Metrics for Prometheus. Units and names by its conventions; labels are names of PBXes, steps, states and outcomes,
never a number, a name or an extension."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from uac_trio.ami_client.status import AMIStatus
from uac_trio.calls.fact import CallEnded, Fact, NotAnEmployee, Oddity, ParticipationEnded
from uac_trio.crm.click import Originated
from uac_trio.crm.delivery import Kind
from uac_trio.crm.reply import Ruling
from uac_trio.daemon.conditions import Condition
from uac_trio.daemon.process import process_families
from uac_trio.daemon.standing import Standing
from uac_trio.web.streams import StreamsStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds: what should take milliseconds."""
PATIENT = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
"""Seconds: what should take a fraction of one, and takes hours while the CRM is away."""

VERDICTS = {
    Ruling.DELIVERED: "delivered",
    Ruling.PROBABLY: "probably",
    Ruling.AGAIN: "retry",
    Ruling.AWAY: "away",
    Ruling.AUTH_FAILED: "auth_failed",
    Ruling.MISCONFIGURED: "misconfigured",
    Ruling.PARKED: "parked",
    Ruling.UNKNOWN: "unknown",
}


@attrs.define(eq=False)
class Metrics:
    """Of this process, in a registry of their own."""

    registry: CollectorRegistry = attrs.field(factory=lambda: CollectorRegistry(auto_describe=False), init=False)
    _calls: Counter = attrs.field(init=False)
    _participations: Counter = attrs.field(init=False)
    _oddities: Counter = attrs.field(init=False)
    _not_employees: Counter = attrs.field(init=False)
    _requests: Counter = attrs.field(init=False)
    _may_be_lost: Counter = attrs.field(init=False)
    _orders: Counter = attrs.field(init=False)
    _clicks: Counter = attrs.field(init=False)
    _reply_seconds: Histogram = attrs.field(init=False)
    _stored_seconds: Histogram = attrs.field(init=False)
    _delivered_seconds: Histogram = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(name, what, labels, registry=self.registry)

        self._calls = counter("uac_calls_ended", "Calls that ended.", "direction", "status")
        self._participations = counter(
            "uac_participations_ended", "Employees' parts in calls that ended.", "direction", "outcome"
        )
        self._oddities = counter("uac_oddities", "What the PBXes reported and should not be.")
        self._not_employees = counter(
            "uac_not_an_employee", "Phones that rang and are no employee's by [calls]; the log has the reasons."
        )
        self._requests = counter("uac_requests_sent", "Requests sent to the CRM, by its verdict.", "request", "verdict")
        self._may_be_lost = counter(
            "uac_deliveries_may_be_lost",
            "Deliveries given up after a sending without an answer: the CRM may not have them.",
        )
        self._orders = counter("uac_click2call_orders", "Clicks given to a PBX, by its answer.", "outcome")
        self._clicks = counter("uac_click2call_calls", "Calls that a click began, by how they ended.", "outcome")
        self._reply_seconds = Histogram(
            "uac_crm_reply_seconds", "How long the CRM took to answer.", registry=self.registry, buckets=PATIENT[:10]
        )
        self._stored_seconds = Histogram(
            "uac_event_to_stored_seconds",
            "From the arrival of the event to the storing of the delivery that follows from it.",
            registry=self.registry,
            buckets=QUICK,
        )
        self._delivered_seconds = Histogram(
            "uac_event_to_delivered_seconds",
            "From the arrival of the event to the CRM's answer to the delivery that follows from it.",
            ("kind",),
            registry=self.registry,
            buckets=PATIENT,
        )

    def count_fact(self, fact: Fact) -> None:
        match fact:
            case CallEnded():
                summary = fact.summary
                self._calls.labels(summary.direction.value, summary.status.value).inc()
                if summary.click is not None:
                    self._clicks.labels(summary.click.outcome).inc()
            case ParticipationEnded():
                self._participations.labels(fact.direction.value, fact.outcome.value).inc()
            case Oddity():
                self._oddities.inc()
            case NotAnEmployee():
                self._not_employees.inc()
            case _:
                pass

    def count_sent(self, request: str, ruling: Ruling, took: float) -> None:
        self._requests.labels(request, VERDICTS[ruling]).inc()
        if ruling not in (Ruling.AWAY, Ruling.UNKNOWN):  # else there was no answer
            self._reply_seconds.observe(took)

    def count_may_be_lost(self) -> None:
        self._may_be_lost.inc()

    def stored_after(self, seconds: float) -> None:
        self._stored_seconds.observe(seconds)

    def delivered_after(self, kind: Kind, seconds: float) -> None:
        self._delivered_seconds.labels(kind.value).observe(seconds)

    def count_order(self, outcome: Originated) -> None:
        self._orders.labels(outcome.value).inc()

    def page(self, standing: Standing, downloads: int, recordings: Mapping[str, int]) -> bytes:
        """Everything, in Prometheus' text format."""
        at_scrape = CollectorRegistry(auto_describe=False)
        read_off = [*families(standing, downloads, recordings), *process_families(standing.now)]
        at_scrape.register(_AtScrape(lambda: (*_without_created(self.registry.collect()), *read_off)))
        return generate_latest(at_scrape)


def _without_created(metrics: Iterable[Metric]) -> Iterable[Metric]:
    """Less the time at which each counter was first used, which doubles their number and is of no use."""
    for metric in metrics:
        metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
        yield metric


@attrs.frozen(eq=False)
class _AtScrape(Collector):
    read: Callable[[], Iterable[Metric]]

    def collect(self) -> Iterable[Metric]:
        return self.read()


def families(now: Standing, downloads: int, recordings: Mapping[str, int]) -> Iterable[Metric]:
    """What is read off when it is asked for."""
    yield _gauges("uac_build_info", "Its version.", "version", {now.version: 1.0})
    per_pbx: dict[str, tuple[str, Callable[[AMIStatus], float]]] = {
        "uac_pbx_messages": ("Events and responses read from the PBX.", lambda status: status.messages),
        "uac_pbx_events_dropped": (
            "Events dropped unread, since the tracker reads none of them.",
            lambda status: status.dropped,
        ),
        "uac_pbx_sessions": ("Logins to the PBX: the first, and one a reconnect.", lambda status: status.sessions),
        "uac_pbx_protocol_errors": ("Times the PBX broke the protocol.", lambda status: status.protocol_errors),
    }
    for name, (what, read) in per_pbx.items():
        counter = CounterMetricFamily(name, what, labels=["pbx"])
        for pbx, status in now.pbxes.items():
            counter.add_metric([pbx], read(status))
        yield counter
    connected = {pbx: float(status.state == "connected") for pbx, status in now.pbxes.items()}
    yield _gauges("uac_pbx_connected", "1: logged in to the PBX.", "pbx", connected)
    heard = {pbx: at for pbx, status in now.pbxes.items() if (at := status.last_message_at) is not None}
    yield _gauges("uac_pbx_last_message_timestamp_seconds", "When the PBX last sent something.", "pbx", heard)
    yield _conditions(now)
    yield _gauge("uac_live_calls", "Calls in progress.", now.live_calls)
    yield CounterMetricFamily(
        "uac_digest_failures", "Times everything began anew, as after a restart, over one event.", value=now.starts_over
    )
    yield CounterMetricFamily(
        "uac_log_lines_dropped", "Lines of the log dropped: nothing read them in time.", value=now.log_lines_dropped
    )
    yield _gauge("uac_store_up", "1: the outbox takes rows.", not now.store_trouble)
    yield _gauge("uac_deliveries_in_memory", "Deliveries that are not in the outbox yet.", now.in_memory)
    if now.outbox is not None:
        rows = attrs.asdict(now.outbox)
        oldest = rows.pop("oldest_waiting_at")
        yield _gauges("uac_outbox_rows", "Deliveries in the outbox.", "state", rows)
        age = 0.0 if oldest is None else max(0.0, now.now - oldest)
        yield _gauge("uac_outbox_oldest_waiting_seconds", "How long the oldest delivery waits.", age)
    yield _gauge("uac_crm_up", "0: everything waits, for the CRM or for an administrator.", not now.sender.trouble)
    yield _gauge("uac_crm_requests_in_flight", "Requests on the wire.", now.sender.in_flight)
    yield _gauge("uac_crm_requests_at_once", "Requests that the CRM is asked at once at most.", now.sender.at_once)
    if now.streams is not None:
        yield from _of_streams(now.streams)
    yield _gauge("uac_recording_downloads", "Recordings being sent.", downloads)
    yield _gauges("uac_recordings", "Recordings that are known.", "state", recordings)


def _conditions(now: Standing) -> Metric:
    """All of them, the absent ones too, so that a rule can name each."""
    gauge = GaugeMetricFamily(
        "uac_condition", "1: it is present; /live and the log have the words.", labels=["condition", "severity", "pbx"]
    )
    present = {one.key for one in now.findings}
    for condition in Condition:
        for pbx in now.configured if condition.is_of_pbx else ("",):
            labels = [condition.value, condition.severity.value, pbx]
            gauge.add_metric(labels, float((condition, pbx) in present))
    return gauge


def _of_streams(streams: StreamsStatus) -> Iterable[Metric]:
    yield _gauge("uac_companion_streams", "Open streams of the CRM's users' browsers.", streams.open)
    counts = {
        "uac_companion_streams_opened": ("Streams opened.", streams.opened),
        "uac_companion_streams_dropped": ("Streams ended because their browser did not read.", streams.dropped),
        "uac_companion_events": ("Events put into streams.", streams.events),
    }
    for name, (what, count) in counts.items():
        yield CounterMetricFamily(name, what, value=count)
    refused = CounterMetricFamily("uac_companion_tokens_refused", "Tokens refused.", labels=["reason"])
    for reason, count in streams.refused.items():
        refused.add_metric([reason], count)
    yield refused


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=float(value))


def _gauges(name: str, what: str, label: str, values: Mapping[str, float]) -> Metric:
    gauge = GaugeMetricFamily(name, what, labels=[label])
    for of, value in values.items():
        gauge.add_metric([of], float(value))
    return gauge
