"""What the platform reads of the package: manifest, endpoint group, endpoints, provider, tools, icons, documents."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml

import kafka_bridge
from kafka_bridge.settings.table import CREDENTIALS, SETTINGS, Kind
from kafka_bridge.tooling import consume, listen_sse, publish, topics, wait
from kafka_bridge.tooling.overrides import OVERRIDES

REPOSITORY = Path(__file__).resolve().parent.parent
LANGUAGES = {"en_US", "zh_Hans", "ja_JP", "pt_BR"}
# As the daemon and the SDK have them.
TAGS = """search image videos weather finance design travel social news medical productivity education business
    entertainment utilities agent rag other trigger"""
METHODS = {"HEAD", "POST", "GET", "PUT", "DELETE", "OPTIONS"}
ONE_LINE_FIELDS = {Kind.TEXT, Kind.SECRET}
CJK = re.compile(r"[\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")

# In a process of its own: importing the SDK patches the standard library.
VALIDATE = """
import json, sys
import yaml
from dify_plugin.core.entities.plugin.setup import PluginConfiguration
from dify_plugin.entities.endpoint import EndpointProviderConfiguration
from dify_plugin.entities.tool import ToolProviderConfiguration
with open("manifest.yaml", encoding="utf-8") as file:
    manifest = PluginConfiguration(**yaml.safe_load(file))
(group,) = manifest.plugins.endpoints
with open(group, encoding="utf-8") as file:
    endpoints = EndpointProviderConfiguration(**yaml.safe_load(file))
(provider,) = manifest.plugins.tools
with open(provider, encoding="utf-8") as file:
    tools = ToolProviderConfiguration(**yaml.safe_load(file))
found = {"manifest": manifest, "group": endpoints, "provider": tools}
json.dump({name: model.model_dump(mode="json") for name, model in found.items()}, sys.stdout)
"""


def load(path):
    return yaml.safe_load((REPOSITORY / path).read_text(encoding="utf-8"))


MANIFEST = load("manifest.yaml")
GROUP = load("group/kafka_bridge.yaml")
ENDPOINTS = {
    path.relative_to(REPOSITORY).as_posix(): load(path) for path in sorted(REPOSITORY.glob("endpoints/*.yaml"))
}
PROVIDER = load("provider/kafka_bridge.yaml")
TOOLS = {path.stem: load(path.relative_to(REPOSITORY)) for path in sorted(REPOSITORY.glob("tools/*.yaml"))}
PARAMETERS = [(name, parameter) for name, tool in TOOLS.items() for parameter in tool["parameters"]]
PARAMETER_IDS = [f"{name}-{parameter['name']}" for name, parameter in PARAMETERS]
# As the daemon knows them; of the SDK's others we need none.
PARAMETER_TYPES = {"string", "number", "boolean", "select", "secret-input"}
OUTPUTS = {
    "publish": publish.OUTPUTS,
    "consume": consume.OUTPUTS,
    "wait_for_event": wait.OUTPUTS,
    "list_topics": topics.LISTED,
    "create_topic": topics.CREATED,
    "listen_sse": listen_sse.OUTPUTS,
}


@pytest.fixture(scope="session")
def validated():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", VALIDATE], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def translations(value, place=""):
    """Every text in four languages below `value`, with its place."""
    if isinstance(value, dict) and "en_US" in value:
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from translations(inner, f"{place}/{key}")
    elif isinstance(value, list):
        for inner in value:
            name = inner.get("name") or inner.get("value") if isinstance(inner, dict) else ""
            yield from translations(inner, f"{place}/{name}")


# The SDK's own models.


def test_manifest_group_and_endpoints_are_what_the_sdk_reads(validated):
    assert validated["manifest"]["name"] == "kafka_bridge"
    assert [setting["name"] for setting in validated["group"]["settings"]] == list(SETTINGS)
    assert len(validated["group"]["endpoints"]) == len(ENDPOINTS)


def test_the_sdk_keeps_every_field_of_the_files(validated):
    # Its models drop what they do not know, so that a misspelt field would be lost without a word.
    unknown_to_the_sdk = {"privacy", "tags"}

    assert MANIFEST.keys() - validated["manifest"].keys() == unknown_to_the_sdk
    for saved, read in zip(GROUP["settings"], validated["group"]["settings"], strict=True):
        assert saved.keys() - read.keys() == set()
    for read in validated["group"]["endpoints"]:
        assert read in [{"hidden": False, **endpoint} for endpoint in ENDPOINTS.values()]


# The daemon's limits.


def test_author_name_and_version_have_the_daemons_form():
    assert re.fullmatch(r"[a-z0-9_-]{1,64}", MANIFEST["author"])
    assert re.fullmatch(r"[a-z0-9_-]{1,128}", MANIFEST["name"])
    assert re.fullmatch(r"\d{1,4}(\.\d{1,4}){2}(-\w{1,16})?", MANIFEST["version"])
    assert MANIFEST["type"] == "plugin"


def test_tags_are_among_the_marketplaces():
    assert set(MANIFEST["tags"]) <= set(TAGS.split())
    assert max(Counter(MANIFEST["tags"]).values()) == 1


def test_the_runner_is_python_on_both_architectures():
    runner = MANIFEST["meta"]["runner"]

    assert (runner["language"], runner["version"], runner["entrypoint"]) == ("python", "3.12", "main")
    assert (REPOSITORY / f"{runner['entrypoint']}.py").is_file()
    assert set(MANIFEST["meta"]["arch"]) == {"amd64", "arm64"}


def test_there_is_exactly_one_endpoint_group_and_one_tool_provider():
    # Of several only the last would survive in the daemon.
    assert MANIFEST["plugins"] == {"endpoints": ["group/kafka_bridge.yaml"], "tools": ["provider/kafka_bridge.yaml"]}


def test_permissions_are_those_that_the_plugin_uses():
    permission = MANIFEST["resource"]["permission"]

    assert {name for name, value in permission.items() if value["enabled"]} == {"endpoint", "storage", "app"}
    assert 1024 <= permission["storage"]["size"] <= 1_073_741_824


@pytest.mark.parametrize("field", ["icon", "icon_dark"])
def test_an_icon_is_a_file(field):
    assert len(MANIFEST[field]) <= 128
    assert (REPOSITORY / "_assets" / MANIFEST[field]).read_bytes().strip()


def test_an_icon_runs_no_script_and_loads_nothing():
    for field in ("icon", "icon_dark"):
        svg = (REPOSITORY / "_assets" / MANIFEST[field]).read_text(encoding="utf-8")
        assert not re.search(r"<script|<foreignObject|\son\w+=|href=\"(?!#)", svg)


def test_the_privacy_policy_is_written():
    assert MANIFEST["privacy"] == "PRIVACY.md"
    assert (REPOSITORY / MANIFEST["privacy"]).read_text(encoding="utf-8").strip()


ALL_TRANSLATIONS = [
    *translations(MANIFEST, "manifest"),
    *translations(GROUP, "group"),
    *translations(PROVIDER, "provider"),
    *(found for name, tool in TOOLS.items() for found in translations(tool, name)),
]


@pytest.mark.parametrize(("place", "texts"), ALL_TRANSLATIONS, ids=[place for place, _ in ALL_TRANSLATIONS])
def test_a_text_is_there_in_four_languages_and_not_too_long(place, texts):
    assert texts.keys() == LANGUAGES
    assert all(1 <= len(text) <= 1023 and text == text.strip() for text in texts.values())


def test_english_texts_are_english():
    assert [texts["en_US"] for _, texts in ALL_TRANSLATIONS if CJK.search(texts["en_US"])] == []


# The settings.


def test_the_group_has_no_more_settings_than_the_daemon_takes():
    assert len(GROUP["settings"]) <= 64
    assert max(Counter(setting["name"] for setting in GROUP["settings"]).values()) == 1


def test_the_group_is_the_table():
    group = [
        (
            setting["name"],
            setting["type"],
            setting["label"]["en_US"],
            setting.get("default", ""),
            tuple(option["value"] for option in setting.get("options", ())),
        )
        for setting in GROUP["settings"]
    ]
    table = [
        (name, setting.kind.value, setting.label, setting.default, setting.options)
        for name, setting in SETTINGS.items()
    ]

    assert group == table


@pytest.mark.parametrize("setting", GROUP["settings"], ids=[setting["name"] for setting in GROUP["settings"]])
def test_a_setting_is_never_required_because_the_parser_says_what_is_missing(setting):
    assert setting["required"] is False


@pytest.mark.parametrize("setting", GROUP["settings"], ids=[setting["name"] for setting in GROUP["settings"]])
def test_a_setting_is_explained(setting):
    kind = SETTINGS[setting["name"]].kind

    assert setting.keys() >= {"name", "type", "required", "label", "help"}
    assert ("placeholder" in setting) is (kind in ONE_LINE_FIELDS)
    assert "url" not in setting


def test_an_option_is_short_and_labelled():
    for setting in GROUP["settings"]:
        options = setting.get("options", [])
        assert len(options) < 128
        assert all(len(option["value"]) < 128 and option["label"].keys() == LANGUAGES for option in options)


def test_the_app_may_be_of_any_kind_that_the_plugin_can_run():
    (app,) = (setting for setting in GROUP["settings"] if setting["type"] == "app-selector")

    assert set(app.get("scope", "all").split("&")) <= {"all", "chat", "workflow", "completion"}


def test_no_text_holds_what_looks_like_a_real_secret():
    for place, texts in ALL_TRANSLATIONS:
        for text in texts.values():
            assert not re.search(r"whsec_[A-Za-z0-9+/]{16}|sk_live_|[A-Za-z0-9+/]{40}", text), place


# The endpoints.


def test_every_endpoint_file_is_listed_exactly_once():
    assert sorted(GROUP["endpoints"]) == sorted(ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)
def test_an_endpoint_has_a_path_a_method_and_a_source(endpoint):
    assert endpoint["path"].startswith("/")
    assert endpoint["method"] in METHODS
    assert (REPOSITORY / endpoint["extra"]["python"]["source"]).is_file()


def test_no_two_endpoints_have_the_same_path_and_method():
    routes = Counter((endpoint["path"], endpoint["method"]) for endpoint in ENDPOINTS.values())

    assert [route for route, count in routes.items() if count > 1] == []


def test_what_no_other_file_matches_is_caught_by_hidden_ones():
    caught = {
        (endpoint["path"], endpoint["method"], endpoint.get("hidden"), endpoint["extra"]["python"]["source"])
        for endpoint in ENDPOINTS.values()
        if endpoint["path"] in {"/", "/<path:rest>"}
    }

    assert caught == {(path, method, True, "endpoints/rest.py") for path in ("/", "/<path:rest>") for method in METHODS}


def test_an_operator_sees_the_paths_that_a_sender_or_a_probe_needs():
    seen = {(endpoint["method"], endpoint["path"]) for endpoint in ENDPOINTS.values() if not endpoint.get("hidden")}

    assert seen == {("POST", "/webhook"), ("POST", "/webhook/<source>"), ("GET", "/health")}


def test_every_endpoint_source_is_used():
    used = {endpoint["extra"]["python"]["source"] for endpoint in ENDPOINTS.values()}
    there = {path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("endpoints/*.py")}

    assert used == there - {"endpoints/__init__.py"}


# The tool provider.


def test_the_provider_and_the_tools_are_what_the_sdk_reads(validated):
    provider = validated["provider"]

    assert provider["identity"]["name"] == MANIFEST["name"]
    assert [setting["name"] for setting in provider["credentials_schema"]] == list(CREDENTIALS)
    assert [tool["identity"]["name"] for tool in provider["tools"]] == [Path(path).stem for path in PROVIDER["tools"]]


def test_the_sdk_keeps_every_field_of_the_tools(validated):
    for read in validated["provider"]["tools"]:
        saved = TOOLS[read["identity"]["name"]]
        assert saved.keys() - read.keys() == set()
        for parameter, kept in zip(saved["parameters"], read["parameters"], strict=True):
            assert parameter.keys() - kept.keys() == set()
    for name, saved in PROVIDER["credentials_for_provider"].items():
        (kept,) = (setting for setting in validated["provider"]["credentials_schema"] if setting["name"] == name)
        assert saved.keys() - kept.keys() == set()


def test_every_tool_file_is_listed_exactly_once():
    assert sorted(PROVIDER["tools"]) == sorted(f"tools/{name}.yaml" for name in TOOLS)


def test_the_credentials_are_the_table():
    saved = [
        (
            name,
            setting["type"],
            setting["label"]["en_US"],
            setting.get("default", ""),
            tuple(option["value"] for option in setting.get("options", ())),
        )
        for name, setting in PROVIDER["credentials_for_provider"].items()
    ]
    table = [
        (name, setting.kind.value, setting.label, setting.default, setting.options)
        for name, setting in CREDENTIALS.items()
    ]

    assert saved == table


@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_credential_is_explained_and_never_required(name):
    setting = PROVIDER["credentials_for_provider"][name]

    assert setting["required"] is False
    assert setting.keys() >= {"label", "help"}
    assert ("placeholder" in setting) is (CREDENTIALS[name].kind in ONE_LINE_FIELDS)


def test_a_credential_that_is_a_setting_too_has_the_same_label_in_every_language():
    settings = {setting["name"]: setting["label"] for setting in GROUP["settings"]}

    for name, setting in PROVIDER["credentials_for_provider"].items():
        assert setting["label"] == settings.get(name, setting["label"])


def test_what_the_tools_may_do_besides_is_off_until_somebody_switches_it_on():
    for name in CREDENTIALS.keys() - SETTINGS.keys():
        assert PROVIDER["credentials_for_provider"][name]["default"] == "disabled"


# The tools.


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_has_the_name_of_its_file_and_hands_over_under_it(name):
    source = REPOSITORY / TOOLS[name]["extra"]["python"]["source"]
    calls = [node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Call)]
    named = [call.args[0].value for call in calls if call.args and isinstance(call.args[0], ast.Constant)]

    assert TOOLS[name]["identity"]["name"] == name == source.stem
    assert named == [name]


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS, ids=PARAMETER_IDS)
def test_a_parameter_is_read_by_the_code(name, parameter):
    code = "".join(path.read_text() for path in (REPOSITORY / "kafka_bridge" / "tooling").rglob("*.py"))

    assert f'"{parameter["name"]}"' in code


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS, ids=PARAMETER_IDS)
def test_a_parameter_is_described_for_people_and_for_models(name, parameter):
    assert parameter["type"] in PARAMETER_TYPES
    assert parameter["form"] in {"llm", "form"}
    # Whoever is not asked needs no description, and one that is there would be paid for.
    assert ("llm_description" in parameter) is (parameter["form"] == "llm")
    assert len(parameter.get("llm_description", "x")) <= 400
    assert ("options" in parameter) is (parameter["type"] == "select")
    assert (parameter["type"] == "boolean") <= (parameter.get("default") is False)


def test_a_model_chooses_neither_where_it_connects_nor_with_what():
    by_model = {parameter["name"] for _, parameter in PARAMETERS if parameter["form"] == "llm"}

    assert by_model & {*CREDENTIALS, "url", "auth_type", "auth_token", "forward_topic"} == set()


def test_publish_overrides_exactly_what_the_rules_know():
    by_form = {parameter["name"] for parameter in TOOLS["publish"]["parameters"] if parameter["form"] == "form"}

    assert by_form == set(OVERRIDES)


def test_the_same_parameter_has_the_same_name_for_people_everywhere():
    labels: dict[tuple[str, str], dict[str, str]] = {}
    for name, parameter in PARAMETERS:
        if name != "listen_sse":
            assert labels.setdefault(parameter["name"], parameter["label"]) == parameter["label"], parameter["name"]


@pytest.mark.parametrize(("name", "outputs"), OUTPUTS.items(), ids=OUTPUTS)
def test_the_outputs_of_a_node_are_those_that_the_tool_sets(name, outputs):
    declared = TOOLS[name]["output_schema"]["properties"]

    assert OUTPUTS.keys() == TOOLS.keys()
    assert list(declared) == list(outputs)
    # Those that every tool's node has.
    assert not {"text", "json", "files"} & declared.keys()
    assert all(one["description"].strip() for one in declared.values())


# One version, said in four places.


def test_the_version_is_the_same_everywhere():
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.search(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert released, "no '## [0.1.0]' in CHANGELOG.md"
    assert MANIFEST["version"] == project["version"] == kafka_bridge.__version__ == released[1]


def test_the_readme_is_english_because_translations_have_files_of_their_own():
    assert not CJK.search((REPOSITORY / "README.md").read_text(encoding="utf-8"))


def test_a_translated_readme_has_the_name_that_the_platform_looks_for():
    for path in (REPOSITORY / "readme").glob("*"):
        assert re.fullmatch(r"README_([a-z]{2}_[A-Za-z]{2,})\.md", path.name)


def test_a_requirement_has_a_range():
    for line in (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").split():
        assert re.fullmatch(r"[a-z][a-z0-9_-]*>=\d+(\.\d+)*,<\d+(\.\d+)*", line)
