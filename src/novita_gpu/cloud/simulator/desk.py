"""Each call of the API: what it reads from query and body, what it does to the cloud, what it answers."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from novita_gpu.cloud.simulator import metrics, wire
from novita_gpu.cloud.simulator.catalogue import Template
from novita_gpu.cloud.simulator.core import Cloud
from novita_gpu.cloud.simulator.orders import Edit, Upgrade, read_body, read_order
from novita_gpu.cloud.simulator.refusals import Answer, answer_json, invalid

Item = TypeVar("Item")


class Ask(Struct, frozen=True):
    """One call as the desk sees it."""

    query: dict[str, str]
    body: dict[str, object]
    now: float

    def text(self, name: str) -> str:
        """A text that must be there, from the query or the body; `Refused` with `VALIDATOR_PARAM` else."""
        value = self.query.get(name) or self.body.get(name)
        if not isinstance(value, str) or not value:
            raise invalid(f"{name} is required")
        return value

    def whole(self, name: str, default: int = 0) -> int:
        """A whole number from the query or the body, as number or string; `Refused` where it is none."""
        value = self.query.get(name, self.body.get(name, ""))
        if value in {"", None}:
            return default
        if not str(value).isdecimal():
            raise invalid(f"{name} must be a whole number")
        return int(str(value))

    def like(self, name: str, value: str) -> bool:
        """Whether `value` passes the fuzzy filter `name`: it contains what was asked, in any case."""
        return self.query.get(name, "").lower() in value.lower()

    def exactly(self, name: str, value: str) -> bool:
        """Whether `value` passes the filter `name`."""
        return self.query.get(name, "") in {"", value}


class Desk:
    """The API of one simulated account. Unknown query parameters and body fields are ignored (observed)."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def answer(self, op: str, ask: Ask) -> Answer:
        """Do the call named `op`; raises `Refused`."""
        call: Callable[[Ask], Answer] = getattr(self, f"on_{op}")
        return call(ask)

    def on_create(self, ask: Ask) -> Answer:
        return answer_json({"id": self._cloud.create(read_order(ask.body), ask.now).id})

    def on_list(self, ask: Ask) -> Answer:
        found = [
            machine
            for machine in self._cloud.listing(ask.now)
            if ask.like("name", machine.order.name)
            and ask.like("productName", machine.product.name)
            and ask.exactly("status", machine.status)
        ]
        rows = [wire.list_row(machine, self._cloud.quirks) for machine in self._page(ask, found)]
        return answer_json({"instances": rows, "total": len(found)})

    def on_get(self, ask: Ask) -> Answer:
        machine = self._cloud.get(ask.text("instanceId"), ask.now)
        return answer_json(wire.one(machine, self._cloud, ask.now))

    def on_start(self, ask: Ask) -> Answer:
        return self._moved(self._cloud.start(ask.text("instanceId"), ask.now).status, ask)

    def on_stop(self, ask: Ask) -> Answer:
        return self._moved(self._cloud.stop(ask.text("instanceId"), ask.now).status, ask)

    def on_restart(self, ask: Ask) -> Answer:
        self._cloud.restart(ask.text("instanceId"), ask.now)
        return self._quiet()

    def on_delete(self, ask: Ask) -> Answer:
        self._cloud.delete(ask.text("instanceId"), ask.now)
        return self._quiet()

    def on_edit(self, ask: Ask) -> Answer:
        self._cloud.edit(read_body(ask.body, Edit), ask.now)
        return self._quiet()

    def on_upgrade(self, ask: Ask) -> Answer:
        self._cloud.upgrade(read_body(ask.body, Upgrade), ask.now)
        return self._quiet()

    def on_migrate(self, ask: Ask) -> Answer:
        self._cloud.migrate(ask.text("instanceId"), ask.now)
        return self._quiet()

    def on_set_auto_migrate(self, ask: Ask) -> Answer:
        self._cloud.set_auto_migrate(ask.text("instanceId"), ask.body.get("autoMigrateOpen") is True, ask.now)
        return self._quiet()

    def on_metrics(self, ask: Ask) -> Answer:
        machine = self._cloud.get(ask.text("instanceId"), ask.now)
        return answer_json(metrics.measure(machine, ask.query, ask.now, self._cloud.timing.metrics_lag_s))

    def on_balance(self, ask: Ask) -> Answer:
        return answer_json(wire.balance(self._cloud.balance_usd(ask.now)))

    def on_jobs(self, ask: Ask) -> Answer:
        since, until = ask.whole("startTime"), ask.whole("endTime") or float("inf")
        found = [
            job
            for job in reversed(self._cloud.jobs.values())
            if since <= job.created_at <= until
            and ask.exactly("jobId", job.id)
            and ask.exactly("state", job.state)
            and ask.exactly("type", job.type)
        ]
        return answer_json({"jobs": [wire.job_row(job) for job in self._page(ask, found)], "total": len(found)})

    def on_break_job(self, ask: Ask) -> Answer:
        return answer_json({"jobId": self._cloud.break_job(ask.text("jobId"), ask.now).id})

    def on_save_image(self, ask: Ask) -> Answer:
        ask.text("image")
        auth_id = str(ask.body.get("registryAuthId", ""))
        return answer_json({"jobId": self._cloud.save_image(ask.text("instanceId"), auth_id, ask.now).id})

    def on_clusters(self, _ask: Ask) -> Answer:
        shelf = self._cloud.shelf
        rows = [
            wire.cluster_row(
                cluster, list(dict.fromkeys(p.name for p in shelf.products.values() if cluster.id in p.clusters))
            )
            for cluster in shelf.clusters.values()
        ]
        return answer_json({"data": rows})

    def on_products(self, ask: Ask) -> Answer:
        cluster_id, gpus = ask.query.get("clusterId", ""), ask.whole("gpuNum")
        billing = ask.query.get("billingMethod") or "onDemand"
        found = [
            product
            for product in self._cloud.shelf.products.values()
            if ask.like("productName", product.name)
            and (not cluster_id or cluster_id in product.clusters)
            and product.cpu >= ask.whole("minCpuPerGpu")
            and product.memory >= ask.whole("minMemoryPerGpu")
            and product.disk >= ask.whole("minRootFSSize")
            and billing in product.billing
        ]
        rows = [wire.product_row(product, self._cloud, cluster_id, billing, gpus) for product in found]
        return answer_json({"data": rows})

    def on_cpu_products(self, _ask: Ask) -> Answer:
        return answer_json({"data": []})

    def on_auths(self, _ask: Ask) -> Answer:
        return answer_json({"data": list(self._cloud.shelf.auths.values())})

    def on_save_auth(self, ask: Ask) -> Answer:
        self._cloud.shelf.save_auth(ask.text("name"), ask.text("username"), ask.text("password"))
        return Answer(204)

    def on_delete_auth(self, ask: Ask) -> Answer:
        self._cloud.shelf.delete_auth(ask.text("id"))
        return answer_json({})

    def on_templates(self, ask: Ask) -> Answer:
        found = [
            template
            for template in self._cloud.shelf.templates.values()
            if ask.like("name", template.name)
            and ask.exactly("type", template.type)
            and ask.exactly("channel", template.channel)
        ]
        return answer_json({"template": self._page(ask, found), "total": len(found)})

    def on_template(self, ask: Ask) -> Answer:
        return answer_json({"template": self._cloud.shelf.template(ask.text("templateId"))})

    def on_create_template(self, ask: Ask) -> Answer:
        template = _read_template(ask)
        return answer_json({"templateId": self._cloud.shelf.save_template(template, ask.now)})

    def on_update_template(self, ask: Ask) -> Answer:
        template = _read_template(ask)
        return answer_json({"templateId": self._cloud.shelf.save_template(template, ask.now, template.id)})

    def on_delete_template(self, ask: Ask) -> Answer:
        self._cloud.shelf.delete_template(ask.text("templateId"))
        return answer_json({"templateId": ask.text("templateId")})

    def on_storages(self, ask: Ask) -> Answer:
        found = [
            held.volume
            for held in self._cloud.shelf.volumes.values()
            if ask.like("storageName", held.volume.storage_name) and ask.exactly("storageId", held.volume.storage_id)
        ]
        return answer_json({"data": self._page(ask, found, "pageNo"), "total": len(found)})

    def on_create_storage(self, ask: Ask) -> Answer:
        """The new id as a bare JSON string (documented)."""
        name, size_gb = ask.text("storageName"), ask.whole("storageSize")
        return answer_json(self._cloud.shelf.create_volume(ask.text("clusterId"), name, size_gb, ask.now))

    def on_update_storage(self, ask: Ask) -> Answer:
        name, size_gb = ask.text("storageName"), ask.whole("storageSize")
        self._cloud.shelf.update_volume(ask.text("storageId"), name, size_gb, ask.now)
        return answer_json({})

    def on_delete_storage(self, ask: Ask) -> Answer:
        self._cloud.delete_volume(ask.text("storageId"), ask.now)
        return answer_json({})

    def _page(self, ask: Ask, found: Sequence[Item], number: str = "pageNum") -> Sequence[Item]:
        size = ask.whole("pageSize") or self._cloud.quirks.default_page_size
        size = min(size, self._cloud.quirks.max_page_size)
        first = (max(1, ask.whole(number)) - 1) * size
        return found[first : first + size]

    def _moved(self, state: str, ask: Ask) -> Answer:
        if self._cloud.quirks.action_reply == "empty":
            return Answer()
        return answer_json({"instanceId": ask.text("instanceId"), "state": state})

    def _quiet(self) -> Answer:
        return Answer() if self._cloud.quirks.quiet_reply == "empty" else answer_json({})


def _read_template(ask: Ask) -> Template:
    given = ask.body.get("template")
    if not isinstance(given, dict):
        raise invalid("template is required")
    try:
        return msgspec.convert(given, Template, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from error
