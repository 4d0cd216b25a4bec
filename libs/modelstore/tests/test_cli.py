"""`wan models`: answers hold to the published schema, exit codes tell the class of failure, status starts light."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema
import pytest
from builders import MIB, environ, hub_source, manifest_text, model, noise, put
from warmlane_modelstore.cli import answer
from warmlane_modelstore.cli.arguments import build_parser, size, span
from warmlane_modelstore.cli.main import main
from warmlane_modelstore.errors import EXIT_CODES, Code

SCHEMA = json.loads((Path(answer.__file__).parent / "schema" / "wan-models.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


class Wan:
    """Runs commands in this process, with an environment of their own."""

    def __init__(self, root, capsys):
        self.manifest = root.parent / "models.toml"
        self.environ = environ(
            MODELS_ROOT=str(root), WAN_MODELS_MANIFEST=str(self.manifest), HOME=str(root.parent), WAN_MODELS_MARGIN="0"
        )
        self._capsys = capsys

    def write(self, *models, **store):
        self.manifest.write_text(manifest_text(*models, **store))

    def __call__(self, *arguments):
        """The exit code and the JSON answer, which must satisfy the schema."""
        code = main(["models", *arguments, "--json"], self.environ)
        out = self._capsys.readouterr().out
        document = json.loads(out)
        VALIDATOR.validate(document)
        assert document["exit_code"] == code
        return code, document

    def text(self, *arguments):
        code = main(["models", *arguments], self.environ)
        read = self._capsys.readouterr()
        return code, read.out + read.err


@pytest.fixture
def wan(models_root, capsys):
    before = signal.getsignal(signal.SIGTERM)
    yield Wan(models_root, capsys)
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def small(wan, hub):
    files = [put(hub.root / "org/repo", "w.safetensors", noise(1, MIB)), put(hub.root / "org/repo", "c.json", b"{}")]
    wan.write(model(files=files, sources=[hub_source(hub)]))
    return wan


def test_the_schema_is_a_schema_and_knows_every_code():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["$defs"]["code"]["enum"]) == {str(code) for code in Code}
    assert set(EXIT_CODES.values()) <= set(range(9))


def test_a_models_life_from_the_command_line(small):
    code, document = small("status")
    assert code == 0
    assert document["result"]["models"][0]["state"] == "NOT_PRESENT"
    assert small("status", "--check")[0] == 3
    code, document = small("ensure", "small")
    assert (code, document["result"]["models"][0]["how"]) == (0, "fetched")
    assert small("ensure", "--only", "small")[1]["result"]["models"][0]["how"] == "present"
    assert small("status", "--check", "--explain")[0] == 0
    assert small("verify", "small")[1]["result"]["models"][0]["intact"] is True
    assert small("pin", "small", "--reason", "demo")[0] == 0
    assert small("gc")[1]["result"]["models"][0]["reason"] == "pinned: demo"
    assert small("unpin", "small")[1]["result"]["models"][0]["was_pinned"] is True
    assert small("gc", "--dry-run")[1]["result"]["freed"] == MIB + 2
    assert small("status", "--check")[0] == 0
    assert small("gc")[1]["result"]["models"][0]["decision"] == "removed"
    assert small("status", "--check")[0] == 3


def test_texts_are_for_people(small):
    assert "NOT_PRESENT" in small.text("status")[1]
    assert "fetched 1.0 MB" in small.text("ensure", "small")[1]
    code, text = small.text("status", "--explain")
    assert code == 0
    assert "1.0 MB, of which 1.0 MB are its own" in text
    assert "1.0 MB would be freed" in small.text("gc", "--dry-run")[1]


def test_exit_codes_tell_the_class_of_failure(small, hub):
    assert small("ensure", "smal")[0] == 3
    assert small("ensure")[0] == 2
    hub.faults.token = "needed"
    assert small("ensure", "small", "--fresh")[0] == 4
    hub.faults.token = ""
    hub.faults.corrupt = "w.safetensors"
    code, document = small("ensure", "small", "--fresh")
    assert code == 7
    assert document["error"]["code"] == "CHECKSUM_FAIL"
    assert document["error"]["attempts"]
    hub.faults.corrupt = ""
    small.environ["WAN_MODELS_MARGIN"] = str(10**18)
    code, document = small("ensure", "small", "--fresh")
    assert code == 6
    assert "wan models gc" in document["error"]["user_action"]
    del small.environ["WAN_MODELS_MARGIN"]
    small("ensure", "small", "--fresh")
    victim = next(Path(small.environ["MODELS_ROOT"]).glob("small/*/*/w.safetensors"))
    victim.chmod(0o644)
    victim.write_bytes(noise(9, MIB))
    assert small("verify", "small")[0] == 7
    assert small("status", "--check")[0] == 7
    assert small("gc", "--free", "1TB")[0] == 6


def test_a_source_that_is_down_is_a_network_failure(wan):
    wan.environ["WAN_MODELS_TRIES"] = "1"
    source = {"kind": "url", "base": "http://127.0.0.1:9"}
    wan.write(model(files=[{"path": "c.json", "size": 2, "sha256": "0" * 64}], sources=[source]))
    code, document = wan("ensure", "small")
    assert code == 8
    assert document["error"]["code"] == "NETWORK"


def test_an_invalid_manifest_lists_its_problems_everywhere(wan):
    wan.manifest.write_text('schema_version = 1\n[[model]]\nid = "x"\n')
    code, document = wan("validate")
    assert code == 2
    assert len(document["result"]["problems"]) > 3
    assert wan("status")[0] == 2
    assert wan("validate", str(wan.manifest))[0] == 2
    del wan.environ["WAN_MODELS_MANIFEST"]
    assert wan("validate")[0] == 0


def test_one_failing_model_stops_none_of_the_others(wan, hub):
    good = put(hub.root / "org/repo", "c.json", b"{}")
    gone = {"path": "gone.json", "size": 2, "sha256": "0" * 64}
    wan.write(
        model("bad", files=[gone], sources=[hub_source(hub)]), model("good", files=[good], sources=[hub_source(hub)])
    )
    code, document = wan("ensure", "--all")
    assert code == 3
    assert [m["how"] for m in document["result"]["models"]] == ["failed", "fetched"]


def test_secrets_of_the_environment_are_in_no_output(small, hub):
    secrets = {
        "HF_TOKEN": "hf_planted_token",
        "AWS_ACCESS_KEY_ID": "AKIAPLANTED",
        "AWS_SECRET_ACCESS_KEY": "planted/secret",
    }
    small.environ |= secrets
    hub.faults.token = "another"
    for command in (["status"], ["ensure", "small"], ["gc", "--dry-run"], ["validate"]):
        for output in (json.dumps(small(*command)[1]), small.text(*command)[1]):
            assert not [value for value in secrets.values() if value in output]


def test_sizes_and_times_are_written_as_people_write_them():
    assert (size("69GB"), size("500MiB"), size("12"), size("1.5k")) == (69 * 10**9, 500 * 2**20, 12, 1500)
    assert (span("30d"), span("90"), span("15m"), span("1.5h")) == (2592000, 90, 900, 5400)
    for wrong in (["gc", "--free", "much"], ["gc", "--idle", "soon"], ["status", "--nope"]):
        with pytest.raises(SystemExit) as caught:
            build_parser().parse_args(["models", *wrong])
        assert caught.value.code == 2


def test_status_imports_nothing_heavy(models_root):
    code = (
        "import sys\nfrom warmlane_modelstore.cli.main import main\n"
        "code = main(['models', 'status', '--json'])\n"
        "heavy = {'httpx', 'rich', 'cryptography', 'numpy', 'ml_dtypes', 'torch', 'boto3', 'huggingface_hub', 'keyring', 'pydantic',\n"
        "         'http.client', 'ssl', 'urllib.request', 'asyncio', 'concurrent.futures'}\n"
        "sys.exit(code or ' '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env={"MODELS_ROOT": str(models_root)}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_sigterm_stops_an_ensure_and_keeps_what_came(wan, hub, models_root):
    wan.write(model(files=[put(hub.root / "org/repo", "w.safetensors", noise(1, 8 * MIB))], sources=[hub_source(hub)]))
    hub.faults.rate = MIB
    process = subprocess.Popen(
        [sys.executable, "-m", "warmlane_modelstore", "models", "ensure", "small"],
        env=os.environ | wan.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    begun = threading.Event()
    hub.on_bytes = lambda total: begun.set() if total > 2 * MIB else None
    assert begun.wait(30)
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "goes on from there" in out + err
    status = wan("status")[1]["result"]["models"][0]
    assert status["state"] == "PARTIAL"
    assert status["bytes_present"] > 0
    assert status["activity"] is None
