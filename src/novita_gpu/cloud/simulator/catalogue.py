"""What the simulated cloud offers by default: clusters, products, templates, registry credentials.

Values of templates, credentials and volumes carry the names and casings of the wire, so they are encoded as they are.
"""

from msgspec import Struct, field


class Cluster(Struct, frozen=True):
    """A region. Products name it by `name`, instances and queries by `id`: two namespaces."""

    id: str
    name: str
    network_storage: bool = True
    instance_network: bool = True

    @property
    def code(self) -> str:
        """The display name without its place, the form used before October 2025."""
        return self.name.partition(" ")[0]


class Product(Struct, frozen=True, kw_only=True):
    """A machine type. `price` and `spot_price` are 1/100000 USD per GPU and hour; sizes are GB per GPU."""

    id: str
    name: str
    price: int
    spot_price: int
    clusters: tuple[str, ...]
    cpu: int = 16
    memory: int = 62
    disk: int = 6144
    billing: tuple[str, ...] = ("onDemand", "spot")
    stock: int | None = None  # free GPUs in each cluster at the start; None is what the settings say
    cuda: tuple[int, int] = (12, 8)  # the newest CUDA its driver runs


class Env(Struct, frozen=True):
    """One environment entry."""

    key: str
    value: str = ""


class PortGroup(Struct, frozen=True):
    """Ports of one type in a template; in create the same is the text `"80/http"`."""

    type: str
    ports: tuple[int, ...]


class TemplateTool(Struct, frozen=True):
    """A tool of a template; in create its port is a string."""

    name: str
    port: int
    type: str = "http"
    describe: str = ""


class Template(Struct, frozen=True, kw_only=True, rename="camel"):
    """A template as read. `image_auth` is the id of a registry credential; ids are numeric strings named `Id`."""

    id: str = field(default="", name="Id")
    name: str
    readme: str = ""
    type: str = "instance"
    channel: str = "private"
    image: str
    image_auth: str = ""
    start_command: str = ""
    entrypoint: str = ""
    rootfs_size: int = 60
    ports: tuple[PortGroup, ...] = ()
    envs: tuple[Env, ...] = ()
    tools: tuple[TemplateTool, ...] = ()
    created_at: str = "0"
    recommend_cards: tuple[dict[str, str], ...] = ()
    min_cuda_version: str = ""


class RegistryAuth(Struct, frozen=True):
    """A registry credential; the cloud lists its password in clear (documented)."""

    id: str
    name: str
    username: str
    password: str


class Volume(Struct, frozen=True, rename="camel"):
    """A network volume; `storage_size` is GB, the unit of `price` is undocumented."""

    storage_id: str
    storage_name: str
    storage_size: int
    cluster_id: str
    cluster_name: str
    price: str = "100"


class Catalogue(Struct, frozen=True, kw_only=True):
    """All that is on offer when a simulator starts."""

    clusters: tuple[Cluster, ...]
    products: tuple[Product, ...]
    templates: tuple[Template, ...] = ()
    auths: tuple[RegistryAuth, ...] = ()


CLUSTERS = (
    Cluster("us-ca-6", "US-CA-06 (California)"),
    Cluster("as-sgp-2", "AS-SGP-02"),
    Cluster("cn-hongkong-1", "CN-HK-01"),
    Cluster("as-in-1", "AS-IN-01 (India)", network_storage=False),
    Cluster("eu-de-1", "EU-DE-01 (Germany)", instance_network=False),
)
ASIA = ("as-sgp-2", "cn-hongkong-1", "as-in-1")
MONTHLY = ("onDemand", "spot", "monthly")

PRODUCTS = (
    Product(
        id="4090.16c62g",
        name="RTX 4090 24GB",
        price=35000,
        spot_price=17500,
        clusters=("us-ca-6", *ASIA, "eu-de-1"),
        billing=MONTHLY,
    ),
    Product(
        id="4090.16c96g.v2", name="RTX 4090 24GB", price=67000, spot_price=33500, memory=96, clusters=("us-ca-6", *ASIA)
    ),
    Product(
        id="4090.8c31g", name="RTX 4090 24GB", price=34000, spot_price=17000, cpu=8, memory=31, clusters=("eu-de-1",)
    ),
    Product(
        id="4090.32c125g",
        name="RTX 4090 24GB",
        price=30000,
        spot_price=0,
        memory=125,
        clusters=ASIA,
        billing=("onDemand",),
        stock=0,
    ),
    Product(
        id="4090m.16c32g",
        name="RTX 4090 24GB Laptop",
        price=12000,
        spot_price=6000,
        memory=32,
        clusters=("us-ca-6", *ASIA),
    ),
    Product(id="4090d.16c62g", name="RTX 4090D 24GB", price=29000, spot_price=14500, clusters=("cn-hongkong-1",)),
    Product(id="4090-48.16c62g", name="RTX 4090 48GB", price=72000, spot_price=36000, clusters=("as-sgp-2",)),
    Product(
        id="5090.16c96g",
        name="RTX 5090 32GB",
        price=63000,
        spot_price=32000,
        memory=96,
        clusters=("us-ca-6", "as-sgp-2"),
    ),
    Product(
        id="A100-80GB.14c240g",
        name="A100 SXM 80GB",
        price=160000,
        spot_price=80000,
        cpu=14,
        memory=240,
        clusters=("us-ca-6", "eu-de-1"),
    ),
    Product(
        id="H100-80GB.20c240g",
        name="H100 SXM 80GB",
        price=145000,
        spot_price=73000,
        cpu=20,
        memory=240,
        clusters=("us-ca-6", "as-in-1"),
        cuda=(12, 9),
    ),
    Product(id="26", name="RTX 3090 24GB", price=0, spot_price=0, clusters=("us-ca-6",), stock=0),  # an unusable row
)

PULL_AUTH = "9f2c4e7a1b3d5f60718293a4b5c6d7e8"

TEMPLATES = (
    Template(
        id="101",
        name="PyTorch 2.7 CUDA 12.8",
        channel="official",
        image="docker.io/novitalabs/pytorch:2.7.0-cuda12.8",
        ports=(PortGroup("http", (8080,)),),
        tools=(TemplateTool("Jupyter", 8888, describe="JupyterLab"),),
        created_at="1760000000",
        recommend_cards=({"gpuSpecId": "4090.16c62g", "cardNum": "1"},),
        min_cuda_version="12.8",
    ),
    Template(
        id="102",
        name="vLLM OpenAI server",
        channel="official",
        image="docker.io/vllm/vllm-openai:latest",
        start_command="--model Qwen/Qwen3-8B --port 8000",
        rootfs_size=100,
        ports=(PortGroup("http", (8000,)),),
        envs=(Env("HF_HUB_ENABLE_HF_TRANSFER", "1"),),
        created_at="1760000100",
        min_cuda_version="12.4",
    ),
    Template(
        id="103",
        name="Ubuntu 22.04",
        channel="official",
        image="docker.io/library/ubuntu:22.04",
        start_command="sleep infinity",
        ports=(PortGroup("tcp", (9000, 9001)), PortGroup("http", (80,))),
        created_at="1760000200",
    ),
    Template(
        id="20001",
        name="team-worker",
        readme="The team's own image, behind a registry credential.",
        image="registry.example.com/team/worker:1.4",
        image_auth=PULL_AUTH,
        rootfs_size=80,
        ports=(PortGroup("http", (8188,)),),
        envs=(Env("WORKER_MODE", "queue"),),
        created_at="1765000000",
    ),
)

DEFAULT_CATALOGUE = Catalogue(
    clusters=CLUSTERS,
    products=PRODUCTS,
    templates=TEMPLATES,
    auths=(RegistryAuth(PULL_AUTH, "registry.example.com", "team", "pull-secret"),),
)
