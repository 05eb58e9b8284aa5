"""What a process counts and times of its own doing. `/metrics` and `/api/metrics` read the same instruments."""

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

# Seconds. What is answered from memory takes a few ms; a pass or a create takes as long as the cloud.
ANSWER_BOUNDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
JOB_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LAG_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
# What a caller may call a method; all else is one label.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
Job = Literal["reconcile", "drain", "look", "safety_net", "trim", "idle_check"]
Sending = Literal["delivered", "retried", "exhausted"]
OTHER = "other"
UNKNOWN = "unknown"


class Figures:
    """Instruments on a registry of their own. No label grows with ids, paths, or what strangers send.

    What alerts count is there with 0 from the beginning: Prometheus sees no increase in what appears with 1.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "novita_gpu_http_requests",
            "Answered requests, by the template of their route.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._answers = Histogram(
            "novita_gpu_http_request_duration_seconds",
            "From the request to the end of its answer; without those that are held until something happens.",
            ("route",),
            buckets=ANSWER_BOUNDS,
            registry=self.registry,
        )
        self._jobs = Histogram(
            "novita_gpu_job_duration_seconds",
            "Passes over instances, looks at the cloud, drains of the outbox, checks.",
            ("job",),
            buckets=JOB_BOUNDS,
            registry=self.registry,
        )
        self._failed_jobs = Counter(
            "novita_gpu_jobs_failed", "Jobs that broke: a bug, or the store.", ("job",), registry=self.registry
        )
        self._redelivered = Counter(
            "novita_gpu_jobs_redelivered",
            "Jobs that were begun again, as their worker had gone.",
            ("job",),
            registry=self.registry,
        )
        self._steps = Counter(
            "novita_gpu_steps", "What passes decided to do, by the kind of the step.", ("step",), registry=self.registry
        )
        self._sendings = Histogram(
            "novita_gpu_webhook_sending_duration_seconds",
            "Tries to deliver a webhook, by what came of them.",
            ("outcome",),
            buckets=ANSWER_BOUNDS,
            registry=self.registry,
        )
        self._lag = Histogram(
            "novita_gpu_event_loop_lag_seconds",
            "How late the event loop is, looked at every second.",
            buckets=LAG_BOUNDS,
            registry=self.registry,
        )
        for job in get_args(Job):
            self._failed_jobs.labels(job)
            self._redelivered.labels(job)
        for outcome in get_args(Sending):
            self._sendings.labels(outcome)

    def answered(self, method: str, route: str | None, status: int, seconds: float, *, held: bool) -> None:
        """One request. `route`: its template, None if there is none. `held`: how long it took is no figure of ours."""
        name = route or UNKNOWN
        self._requests.labels(method if method in METHODS else OTHER, name, str(status)).inc()
        if not held:
            self._answers.labels(name).observe(seconds)

    def worked(self, job: Job, seconds: float, *, failed: bool = False, again: bool = False) -> None:
        self._jobs.labels(job).observe(seconds)
        if failed:
            self._failed_jobs.labels(job).inc()
        if again:
            self._redelivered.labels(job).inc()

    def decided(self, step: str) -> None:
        self._steps.labels(step).inc()

    def sent(self, outcome: Sending, seconds: float) -> None:
        self._sendings.labels(outcome).observe(seconds)

    def lagged(self, seconds: float) -> None:
        self._lag.observe(seconds)

    def requests(self) -> dict[tuple[str, str, str], int]:
        """By method, route and status."""
        found = _samples(self._requests, "_total", "method", "route", "status")
        return {(method, route, status): int(value) for (method, route, status), value in found}

    def answer_seconds(self) -> float:
        return sum(value for _, value in _samples(self._answers, "_sum", "route"))

    def answers_within(self) -> dict[float, int]:
        """How many answers took up to each bound, infinity last."""
        found: dict[float, int] = {}
        for (bound,), value in _samples(self._answers, "_bucket", "le"):
            found[float(bound)] = found.get(float(bound), 0) + int(value)
        return found

    def jobs(self) -> dict[str, int]:
        """How many were done, by kind."""
        return {job: int(value) for (job,), value in _samples(self._jobs, "_count", "job")}

    def failed_jobs(self) -> dict[str, int]:
        return {job: int(value) for (job,), value in _samples(self._failed_jobs, "_total", "job")}

    def redelivered_jobs(self) -> int:
        return int(sum(value for _, value in _samples(self._redelivered, "_total", "job")))


def _samples(instrument: Counter | Histogram, end: str, *labels: str) -> Iterable[tuple[tuple[str, ...], float]]:
    for family in instrument.collect():
        for sample in family.samples:
            if sample.name == family.name + end:
                told: Mapping[str, str] = sample.labels
                yield tuple(told[label] for label in labels), sample.value
