"""Where credentials come from: the keyring, then a file, then the environment; the first that has them wins.

A manifest names credentials (`credentials = "mirror"`), it never holds them. For the name `mirror`:

    keyring      service "warmlane-models", user "mirror", the value as JSON with the fields below
    file         $WAN_MODELS_CREDENTIALS, TOML: [mirror] access_key = "…" secret_key = "…" (or token, or urls)
    environment  WAN_MODELS_MIRROR_ACCESS_KEY, …_SECRET_KEY, …_SESSION_TOKEN, …_TOKEN

The default names `s3` and `huggingface` also look where their own tools do (AWS_*, ~/.aws/credentials, HF_TOKEN,
~/.cache/huggingface/token), and `s3` at Warmlane's own WARMLANE_S3_*. Everything read here is told to the masker.
"""

import configparser
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.masking import Masker

S3_NAME = "s3"
HUB_NAME = "huggingface"
KEYRING_SERVICE = "warmlane-models"


@dataclass(frozen=True, slots=True)
class Credential:
    """One named credential; which fields are set depends on what it opens. Never shown: its repr is masked."""

    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    urls: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def empty(self) -> bool:
        return not (self.access_key or self.token or self.urls)


class Vault:
    """Finds credentials by name. Nothing is read before it is asked for, and nothing is written."""

    def __init__(self, environ: Mapping[str, str], masker: Masker, *, home: Path | None = None) -> None:
        self._environ = environ
        self._masker = masker
        self._home = home

    def find(self, name: str) -> Credential | None:
        """The credential of that name, or None when no place has it; raises StoreError when a place is unreadable."""
        for place in (self._from_keyring, self._from_file, self._from_environment, self._from_other_tools):
            found = place(name)
            if found is not None and not found.empty:
                self._masker.learn(
                    found.access_key, found.secret_key, found.session_token, found.token, *found.urls.values()
                )
                return found
        return None

    def _from_keyring(self, name: str) -> Credential | None:
        if self._environ.get("WAN_MODELS_KEYRING", "on") == "off":
            return None
        try:
            import keyring  # noqa: PLC0415 - optional, and slow to import
            from keyring.errors import KeyringError  # noqa: PLC0415
        except ImportError:
            return None
        try:
            text = keyring.get_password(KEYRING_SERVICE, name)
        except KeyringError:  # no usable back end: a server without a desktop
            return None
        return _from_fields(json.loads(text)) if text else None

    def _from_file(self, name: str) -> Credential | None:
        where = self._environ.get("WAN_MODELS_CREDENTIALS")
        if not where:
            return None
        try:
            table = tomllib.loads(Path(where).read_text()).get(name)
        except (OSError, tomllib.TOMLDecodeError) as error:
            # The text of a TOML error can quote the line, and the line can be the secret.
            raise StoreError(
                Code.AUTH_FAIL,
                f"the credentials file {where} cannot be read ({type(error).__name__})",
                "Correct the file WAN_MODELS_CREDENTIALS names, or unset it.",
            ) from None
        return _from_fields(table) if isinstance(table, dict) else None

    def _from_environment(self, name: str) -> Credential | None:
        prefix = f"WAN_MODELS_{name.upper().replace('-', '_').replace('.', '_')}_"
        return _from_fields(
            {
                key: self._environ.get(prefix + key.upper())
                for key in ("access_key", "secret_key", "session_token", "token")
            }
        )

    def _from_other_tools(self, name: str) -> Credential | None:
        if name == S3_NAME:
            return self._warmlane_s3() or self._aws_environment() or self._aws_file()
        if name == HUB_NAME:
            return self._hub_token()
        return None

    def _warmlane_s3(self) -> Credential | None:
        env = self._environ
        if not env.get("WARMLANE_S3_ACCESS_KEY"):
            return None
        return Credential(access_key=env["WARMLANE_S3_ACCESS_KEY"], secret_key=env.get("WARMLANE_S3_SECRET_KEY"))

    def _aws_environment(self) -> Credential | None:
        env = self._environ
        if not env.get("AWS_ACCESS_KEY_ID"):
            return None
        return Credential(
            access_key=env["AWS_ACCESS_KEY_ID"],
            secret_key=env.get("AWS_SECRET_ACCESS_KEY"),
            session_token=env.get("AWS_SESSION_TOKEN"),
        )

    def _aws_file(self) -> Credential | None:
        where = self._environ.get("AWS_SHARED_CREDENTIALS_FILE")
        path = Path(where) if where else (self._home / ".aws" / "credentials" if self._home else None)
        if path is None or not path.is_file():
            return None
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(path)
        profile = self._environ.get("AWS_PROFILE", "default")
        if not parser.has_section(profile):
            return None
        section = parser[profile]
        return Credential(
            access_key=section.get("aws_access_key_id"),
            secret_key=section.get("aws_secret_access_key"),
            session_token=section.get("aws_session_token"),
        )

    def _hub_token(self) -> Credential | None:
        env = self._environ
        token = env.get("HF_TOKEN") or env.get("HUGGING_FACE_HUB_TOKEN")
        if not token:
            home = env.get("HF_HOME") or (str(self._home / ".cache" / "huggingface") if self._home else None)
            where = env.get("HF_TOKEN_PATH") or (f"{home}/token" if home else None)
            if where and Path(where).is_file():
                token = Path(where).read_text().strip()
        return Credential(token=token) if token else None


def _from_fields(table: Mapping[str, object]) -> Credential:
    def text(key: str) -> str | None:
        value = table.get(key)
        return value if isinstance(value, str) and value else None

    urls = table.get("urls")
    return Credential(
        access_key=text("access_key"),
        secret_key=text("secret_key"),
        session_token=text("session_token"),
        token=text("token"),
        urls={str(k): str(v) for k, v in urls.items()} if isinstance(urls, dict) else {},
    )
