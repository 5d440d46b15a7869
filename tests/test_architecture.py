"""The architecture, as a test: who imports whom, what is pure, where state may be."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = "kafka_bridge"

# Lowest first. A module imports only from lines above its own; siblings on a line do not import one another.
LAYERS = [
    "errors",
    "http clock ratelimit incidents documents placeholders metrics moments",
    "events.record",
    "settings.secret settings.table settings.pem",
    "settings.reader",
    "settings.cluster settings.sources",
    "settings.endpoint tooling.messages tooling.parameters tooling.advice tooling.jsonpath",
    " ".join(f"tooling.sse.{name}" for name in ("addresses", "failures", "inflate", "parser", "target")),
    "readiness tooling.call tooling.overrides tooling.order tooling.filters tooling.items",
    "tooling.selection tooling.sse.hops tooling.sse.reconnection",
    "tooling.awaiting tooling.sse.subscription",
    "events.cloudevents",
    "events.envelope",
    "events.run tooling.sse.account tooling.sse.records",
    "events.outcome",
    "events.log.store events.log.entry events.log.masking",
    "events.log.making events.log.segments events.log.register events.log.query events.log.replaying",
    "events.log.pending events.log.manifest events.log.document events.log.feed",
    "events.log.shelf",
    "events.log.writers events.log.pace",
    "events.log.others",
    "events.log.log",
    "events.log.logs events.log.reader",
    "dispatch.ended dispatch.payload dispatch.form dispatch.units",
    "dispatch.task",
    "dispatch.offsets dispatch.policy dispatch.shards dispatch.retry dispatch.breaker",
    "dispatch.lane",
    "dispatch.board",
    "dispatch.flow",
    "dispatch.engine",
    "dispatch.inputs dispatch.verdicts dispatch.deadletter dispatch.results",
    "dispatch.attempt dispatch.window dispatch.trouble dispatch.letter dispatch.progress dispatch.cursor",
    "ingress.content ingress.patterns ingress.xmltree ingress.keys ingress.dedupe",
    "ingress.canonical ingress.templates ingress.items ingress.publish ingress.outside",
    "ingress.signatures ingress.tokens ingress.routing ingress.handshakes ingress.certificates",
    "ingress.encrypted ingress.sns",
    "ingress.feishu",
    "ingress.scheme ingress.signing",
    " ".join(f"ingress.vendors.{name}" for name in ("business", "development", "generic", "messaging", "sealed")),
    "ingress.schemes",
    "ingress.options",
    "broker.ports broker.causes broker.config",
    "tooling.credentials tooling.overview tooling.readers",
    "ingress.source dispatch.plan dispatch.pushed",
    "ingress.receive dispatch.redrive",
    "dispatch.asking dispatch.shown",
    "ingress.trial",
    "dashboard.words",
    "dashboard.texts dashboard.letter_texts dashboard.states dashboard.advice dashboard.labels dashboard.senders",
    "dashboard.pretty dashboard.shown dashboard.address",
    "dashboard.rows dashboard.health",
    "dashboard.event dashboard.consuming dashboard.letters dashboard.summary dashboard.connecting dashboard.page",
    "broker.loops broker.trust",
    "tooling.sse.network",
    "tooling.sse.connection",
    "tooling.sse.listening",
    "broker.pump broker.greenlets broker.batch broker.aside dispatch.desk",
    "broker.bridge dispatch.gate dispatch.slots dispatch.member dispatch.news dispatch.writer",
    "dispatch.memory dispatch.reading dispatch.delivering",
    "dispatch.worker dispatch.listing dispatch.redriver",
    "broker.registry broker.kafka.partitions broker.kafka.translate",
    "broker.kafka.admin broker.kafka.consumer broker.kafka.producer",
    "broker.kafka.reader broker.kafka.scanner tooling.errands tooling.places tooling.reading",
    "tooling.sse.names",
    "tooling.consume tooling.listen_sse tooling.publish tooling.topics tooling.validate",
    "tooling.wait",
    "web service flows",
    "standalone.variables standalone.tally standalone.logs standalone.signals standalone.system",
    "standalone.publishing standalone.produce",
    "standalone.flags standalone.options standalone.apps standalone.look",
    "standalone.metrics standalone.http standalone.progress standalone.life standalone.orders",
    "standalone.redrive",
    "worker",
    "dify.hooks dify.storage dify.sessions dify.apps dify.caller",
    "dify.call dify.journal dify.meter dify.metrics dify.tools",
    "dify.runs dify.recorder dify.course dify.places",
    "dify.shared",
    "dify.consumers dify.events dify.letters dify.visits dify.hosting",
    "dify.loopback",
    "dify.resident",
    "dify.residents",
    "dify.consume dify.consumer dify.resend dify.stream",
    "dify.afterrun dify.deadletters",
    "dify.http dify.webhooks dify.health dify.replay dify.measures dify.signin",
    "dify.trial dify.dashboard",
    "dify.routes dify.toolbox",
    "dify.management",
    "dify.app",
]
# Modules that may do I/O, hold locks, know the time. All others say that they are pure.
EDGES = {
    "broker": "aside batch bridge greenlets loops pump registry trust",
    "broker.kafka": "admin consumer partitions producer reader scanner translate",
    "dashboard": "page",
    "dispatch": "delivering desk gate listing member memory news reading redriver slots worker writer",
    "standalone": "apps flags http life logs look metrics produce progress publishing redrive signals system tally",
    "dify": "afterrun app apps call caller consume consumer consumers dashboard deadletters events health hooks http"
    " journal letters loopback management measures metrics recorder replay resend resident residents routes runs"
    " sessions shared signin storage stream toolbox tools trial webhooks",
    "tooling": "consume errands listen_sse places publish reading topics validate wait",
    "tooling.sse": "connection listening names network",
}
NOT_PURE = sorted(
    [
        "flows",
        "service",
        "web",
        "worker",
        *(f"{package}.{name}" for package, names in EDGES.items() for name in names.split()),
    ]
)
IMPURE = {"gevent", "confluent_kafka", "dify_plugin", "werkzeug", "httpx", "httpcore"}
IMPURE |= {"os", "socket", "threading", "time", "random"}
CLIENTS = {"urllib.request", "http.client", "requests", "urllib3"}
# Calls whose result cannot be changed, or is a logger.
HARMLESS_CALLS = {"MappingProxyType", "frozenset", "tuple", "re.compile", "logging.getLogger", "object"}
# The same, said of functions of one module.
HARMLESS_OF_THEIR_OWN = {
    **{
        f"ingress.vendors.{name}": {"types", "ids", "Signature"}  # tuples, a frozen dataclass
        for name in ("business", "development", "generic", "messaging", "sealed")
    },
    "ingress.outside": {"Outside"},  # a frozen dataclass
    "events.log.entry": {"len", "tuple"},
    "events.log.making": {"Inbound"},  # a tuple
    "events.log.masking": {"Keeping"},  # a frozen dataclass
    "events.envelope": {"f'{STRUCTURED}; charset=UTF-8'.encode"},  # bytes
    "dify.storage": {"_NoStorage"},  # has nothing
    "broker.greenlets": {"monkey.get_original"},  # a function
    "tooling.sse.addresses": {"IPv6Network"},
    "tooling.sse.failures": {"Failure"},  # a tuple
    "tooling.sse.subscription": {"Target"},  # a frozen dataclass
}


def name_of(path):
    """`settings.cluster` for kafka_bridge/settings/cluster.py; a package has the name of its folder."""
    parts = path.relative_to(REPOSITORY / PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted((REPOSITORY / PACKAGE).rglob("*.py"))}
PACKAGES = {name for name, path in MODULES.items() if path.name == "__init__.py"}
CODE = sorted(MODULES.keys() - PACKAGES)
# Which the platform loads.
LOADED = sorted(
    path
    for folder in ("endpoints", "provider", "tools")
    for path in (REPOSITORY / folder).glob("*.py")
    if path.name != "__init__.py"
)


@cache
def tree_of(path):
    return ast.parse(path.read_text())


@cache
def imported(path):
    """Every name that a file imports, wherever the import stands: `a.b` for `from a import b`."""
    names = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def roots(path):
    return {name.partition(".")[0] for name in imported(path)}


def ours(path):
    """The modules of the package that a file imports."""
    found = set()
    for name in imported(path):
        if name.partition(".")[0] != PACKAGE:
            continue
        parts = name.split(".")[1:]
        found |= {
            next(".".join(parts[:end]) for end in (len(parts), len(parts) - 1) if ".".join(parts[:end]) in MODULES)
        }
    return found


def first_paragraph(path):
    return (ast.get_docstring(tree_of(path)) or "").partition("\n\n")[0]


# Directions.


def test_every_module_has_its_layer():
    layered = [name for layer in LAYERS for name in layer.split()]

    assert sorted(layered) == CODE


@pytest.mark.parametrize("name", CODE)
def test_a_module_imports_only_from_layers_below_its_own(name):
    level = {module: number for number, layer in enumerate(LAYERS) for module in layer.split()}

    assert {other for other in ours(MODULES[name]) if level.get(other, len(LAYERS)) >= level[name]} == set()


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_a_package_holds_nothing_but_its_docstring(name):
    (docstring, *rest) = tree_of(MODULES[name]).body

    assert isinstance(docstring, ast.Expr)
    assert [ast.unparse(node).partition(" = ")[0] for node in rest] == (["__version__"] if name == "" else [])


def test_the_map_in_the_docstring_names_every_module_and_no_other():
    mapped = set()
    for line in re.findall(r"^    (\S.*?)(?:  .*)?$", ast.get_docstring(tree_of(MODULES[""])), re.MULTILINE):
        for item in re.findall(r"[\w.]*\{[^}]*\}|[\w.]+", line):
            prefix, _, names = item.partition("{")
            mapped |= {prefix + name for name in names.rstrip("}").split(",")} if names else {item}
    # A package on the map stands for its modules.
    packages = {module.rpartition(".")[0] for module in CODE} & mapped

    assert mapped - MODULES.keys() == set()
    assert {name for name in CODE if name not in mapped and name.rpartition(".")[0] not in packages} == set()


# Purity.


def test_a_module_says_that_it_is_pure_unless_it_is_on_the_list():
    assert [name for name in CODE if not re.search(r"\bPure\b", first_paragraph(MODULES[name]))] == NOT_PURE


@pytest.mark.parametrize("name", [name for name in MODULES if name not in NOT_PURE])
def test_a_pure_module_imports_nothing_that_does_io_or_knows_the_time(name):
    assert roots(MODULES[name]) & IMPURE == set()


@pytest.mark.parametrize("name", [name for name in CODE if name not in NOT_PURE])
def test_a_pure_module_imports_no_module_that_is_not(name):
    assert ours(MODULES[name]) & set(NOT_PURE) == set()


# Who knows whom.


def importers(root):
    return {name for name, path in MODULES.items() if root in roots(path)}


def test_only_the_kafka_package_knows_the_client_library():
    assert importers("confluent_kafka") == {name for name in CODE if name.startswith("broker.kafka.")}


def test_only_one_module_knows_gevent():
    assert importers("gevent") == {"broker.greenlets"}


def test_only_the_composition_root_the_entry_point_and_what_the_platform_loads_know_the_sdk():
    assert importers("dify_plugin") == {"dify.app", "dify.toolbox"}
    for path in (REPOSITORY / "main.py", *LOADED):
        assert "dify_plugin" in roots(path)


def test_only_the_edge_knows_werkzeug():
    assert importers("werkzeug") <= {name for name in CODE if name.startswith("dify.")}


def test_only_a_few_modules_call_anybody_but_kafka():
    assert importers("httpx") == {"service", "web"}
    # What stands in a URL of a workflow's goes through one place, which looks at every address.
    assert importers("httpcore") == {"tooling.sse.connection", "tooling.sse.network"}
    # The plugin calls itself, and must not by way of a proxy.
    callers = {name for name, path in MODULES.items() if {each.rpartition(".")[0] for each in imported(path)} & CLIENTS}
    assert callers == {"dify.loopback"}


def test_what_only_the_stand_alone_worker_needs_is_known_to_it_alone():
    its_own = {name for name in MODULES if name == "worker" or name.split(".")[0] == "standalone"}

    for root in ("click", "dotenv", "rich"):
        assert importers(root) <= its_own
    assert importers("prometheus_client") <= its_own | {"dify.metrics"}
    assert {name for name in MODULES if name not in its_own and ours(MODULES[name]) & its_own} == set()


def test_the_stand_alone_worker_knows_nothing_of_the_plugin():
    code = "import kafka_bridge.worker, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, check=True, text=True)

    assert not {"gevent", "dify_plugin", "werkzeug", "flask"} & set(found.stdout.split())


def test_what_the_stand_alone_worker_imports_is_in_its_requirements():
    seen, waiting = set(), ["worker"]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += ours(MODULES[name])
    foreign = {root for name in seen for root in roots(MODULES[name])} - sys.stdlib_module_names - {PACKAGE}
    called = {"dotenv": "python-dotenv"}
    lines = (REPOSITORY / "requirements-worker.txt").read_text().split()

    required = {re.split(r"[<>=]", line)[0] for line in lines}
    assert {called.get(root, root.replace("_", "-")) for root in foreign} == required
    assert set((REPOSITORY / "requirements.txt").read_text().split()) >= {
        line for line in lines if line.startswith(("confluent-kafka", "orjson"))
    }


def test_the_entry_point_imports_the_sdk_before_anything_else():
    first = next(node for node in tree_of(REPOSITORY / "main.py").body if isinstance(node, ast.Import | ast.ImportFrom))

    assert isinstance(first, ast.ImportFrom)
    assert first.module == "dify_plugin"


@pytest.mark.parametrize("path", sorted((REPOSITORY / "devhost").rglob("*.py")), ids=lambda path: path.stem)
def test_the_local_host_never_knows_the_edge(path):
    assert {name for name in ours(path) if name.split(".")[0] == "dify"} == set()
    assert roots(path) & {"dify_plugin", "endpoints", "provider", "tools"} == set()


def test_the_package_never_knows_what_is_not_packed_with_it():
    for name in ("devhost", "bench", "tests", "hypothesis", "pytest"):
        assert importers(name) == set()


def test_the_process_of_the_tests_never_imports_the_sdk_which_would_patch_it():
    # What pytest loads, and what that loads; other files below tests/ run in processes of their own.
    loaded, waiting = set(), [*REPOSITORY.glob("tests/**/test_*.py"), *REPOSITORY.glob("tests/**/conftest.py")]
    while waiting:
        path = waiting.pop()
        if path in loaded or not path.is_file():
            continue
        loaded.add(path)
        modules = {name for name in imported(path) if name.startswith("tests.")}
        modules |= {name.rpartition(".")[0] for name in modules}
        waiting += [REPOSITORY / f"{name.replace('.', '/')}.py" for name in modules]

    assert {path for path in loaded if "dify_plugin" in roots(path) or "dify.app" in ours(path)} == set()


# Files of endpoints and tools, which the platform's loader may execute twice.


@pytest.mark.parametrize("path", LOADED, ids=lambda path: path.stem)
def test_a_file_that_the_platform_loads_only_hands_over(path):
    classes = [node for node in tree_of(path).body if isinstance(node, ast.ClassDef)]
    branches = (ast.If, ast.IfExp, ast.Try, ast.Match, ast.For, ast.While, ast.With, ast.BoolOp)
    state = [node for node in tree_of(path).body if isinstance(node, ast.Assign | ast.AnnAssign | ast.FunctionDef)]

    assert len(path.read_text().splitlines()) < 30
    assert [node.__class__.__name__ for node in ast.walk(tree_of(path)) if isinstance(node, branches)] == []
    assert len(classes) == 1
    assert state == []
    assert ours(path) == {"dify.app"}


@pytest.mark.parametrize("folder", ["endpoints", "provider", "tools"])
def test_a_file_that_the_platform_loads_is_imported_by_nobody(folder):
    assert importers(folder) == set()
    assert folder not in roots(REPOSITORY / "main.py")


# State.


def is_mutable(node, harmless):
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) not in harmless
    if isinstance(node, ast.Tuple):
        return any(is_mutable(element, harmless) for element in node.elts)
    return isinstance(node, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "dify.app"])
def test_a_module_holds_nothing_that_can_be_changed(name):
    harmless = HARMLESS_CALLS | HARMLESS_OF_THEIR_OWN.get(name, set())
    values = {
        ast.unparse(node).partition(" = ")[0]: node.value
        for node in tree_of(MODULES[name]).body
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
    }

    assert [target for target, value in values.items() if is_mutable(value, harmless)] == []


@pytest.mark.parametrize("name", MODULES)
def test_a_module_changes_no_global_and_keeps_no_cache_without_a_bound(name):
    nodes = list(ast.walk(tree_of(MODULES[name])))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    decorators = {ast.unparse(decorator) for function in functions for decorator in function.decorator_list}

    assert [node for node in nodes if isinstance(node, ast.Global)] == []
    assert not {"lru_cache", "lru_cache()", "lru_cache(maxsize=None)"} & decorators
    assert name == "dify.app" or "cache" not in decorators


# Size.


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_one_idea(name):
    assert len(MODULES[name].read_text().splitlines()) <= 300


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "devhost").rglob("*.py")), ids=lambda path: str(path.relative_to(REPOSITORY))
)
def test_so_has_a_module_of_the_local_host(path):
    assert len(path.read_text().splitlines()) <= 300
