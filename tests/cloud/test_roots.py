"""Any form of the base address means the same root, and both path families come from it."""

import pytest

from novita_gpu.cloud.wire import ROOT, account_url, gpu_url, root_of


@pytest.mark.parametrize(
    "given",
    [
        "https://api.novita.ai",
        "https://api.novita.ai/",
        " https://api.novita.ai ",
        "https://api.novita.ai/gpu-instance/openapi",
        "https://api.novita.ai/gpu-instance/openapi/",
        "https://api.novita.ai/gpu-instance/openapi/v1",
        "https://api.novita.ai/gpu-instance/openapi/v1/",
        "https://api.novita.ai/gpu-instance",
        "https://api.novita.ai/openapi/v1",
    ],
)
def test_every_form_means_one_root(given: str) -> None:
    assert root_of(given) == ROOT


def test_a_root_below_a_path_is_kept() -> None:
    assert root_of("http://127.0.0.1:8080/novita/gpu-instance/openapi/v1") == "http://127.0.0.1:8080/novita"


@pytest.mark.parametrize(
    "given", ["", "api.novita.ai", "ftp://api.novita.ai", "https://", "https://u:p@api.novita.ai", "https://a/?b=c"]
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="address"):
        root_of(given)


def test_both_families() -> None:
    assert gpu_url(ROOT, "/gpu/instances") == "https://api.novita.ai/gpu-instance/openapi/v1/gpu/instances"
    assert account_url(ROOT, "/billing/balance/detail") == "https://api.novita.ai/openapi/v1/billing/balance/detail"
