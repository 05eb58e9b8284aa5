"""The OpenAPI document and its page. `python -m tests.api.test_documents` writes the document anew."""

import re
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar

from novita_gpu.api.app import ROUTES
from novita_gpu.api.openapi import document
from novita_gpu.contract import CreateInstance
from novita_gpu.contract.views import InstanceView
from tests.api.served import Served

SNAPSHOT = Path(__file__).parent / "openapi.json"


def text_of(told: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(told), indent=1).decode() + "\n"


def written() -> str:
    app = Litestar(list(ROUTES), openapi_config=None, logging_config=None)
    return text_of(document(app, version="test"))


async def test_the_document_is_what_was_agreed(api: Served) -> None:
    answer = await api.get("/openapi.json", key=None)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert text_of(answer.json) == SNAPSHOT.read_text("utf-8"), "python -m tests.api.test_documents writes it anew"


def test_every_reference_leads_somewhere() -> None:
    told = written()
    whole = msgspec.json.decode(told)
    for ref in set(re.findall(r'"#/([^"]+)"', told)):
        node = whole
        for step in ref.split("/"):
            node = node[step]


def test_operation_ids_are_distinct() -> None:
    ids = re.findall(r'"operationId": "([^"]+)"', written())
    assert len(ids) == len(set(ids)) > 15


def test_the_document_says_the_same_as_the_check() -> None:
    schemas = msgspec.json.decode(written())["components"]["schemas"]
    create = schemas["CreateInstance"]
    assert create["additionalProperties"] is False
    assert create["required"] == ["name"]
    assert (create["properties"]["gpuNum"]["minimum"], create["properties"]["gpuNum"]["maximum"]) == (1, 8)
    assert set(create["properties"]) == {f.encode_name for f in msgspec.structs.fields(CreateInstance)}
    assert "null" not in str(schemas["InstanceView"])
    assert "null" in str(schemas["PatchInstance"]["properties"]["webhookUrl"])
    always = [f.encode_name for f in msgspec.structs.fields(InstanceView) if f.required]
    assert sorted(schemas["InstanceView"]["required"]) == sorted(always)


async def test_the_page_needs_no_other_host(api: Served) -> None:
    page = await api.get("/docs", key=None)
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    html = page.body.decode()
    assert not re.search(r"<script>|<style>|\son\w+=|https?://", html)
    for asset, media_type in (("docs.js", "text/javascript"), ("docs.css", "text/css")):
        assert f"/docs/{asset}" in html
        answer = await api.get(f"/docs/{asset}", key=None)
        assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, media_type)
        assert not re.search(rb"https?://|innerHTML|eval\(|@import", answer.body)


async def test_a_browser_that_has_the_page_is_not_sent_it_again(api: Served) -> None:
    for path in ("/docs", "/openapi.json"):
        etag = (await api.get(path)).headers["etag"]
        assert (await api.get(path, If_None_Match=etag)).status == 304


async def test_s5_no_path_leads_out_of_the_page(api: Served) -> None:
    for path in ("/docs/../app.py", "/docs/%2e%2e/app.py", "/docs/..%2fapp.py", "/docs/docs.html", "/docs//etc/passwd"):
        assert (await api.get(path)).status == 404


if __name__ == "__main__":
    SNAPSHOT.write_text(written(), "utf-8")
