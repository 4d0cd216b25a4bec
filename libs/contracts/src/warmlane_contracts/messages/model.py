"""Facts about models on a node: they are being brought, they are there, or they could not be had."""

from typing import ClassVar, Literal

from pydantic import Field

from warmlane_contracts.messages.base import Message

ModelPhase = Literal["waiting", "listing", "checking", "downloading", "converting", "verifying", "publishing", "done"]


class ModelProgressed(Message):
    """An ensure advanced. `model` is a canonical id (`anisora@3.2.0#bf16`), `node` who works on it."""

    TYPE: ClassVar[str] = "warmlane.v1.model.progressed"

    node: str
    model: str
    phase: ModelPhase
    bytes_done: int = Field(ge=0)
    bytes_total: int = Field(ge=0)


class ModelEnsured(Message):
    """A model is complete and verified on a node. `how` says whether anything had to be fetched for it."""

    TYPE: ClassVar[str] = "warmlane.v1.model.ensured"

    node: str
    model: str
    how: Literal["present", "waited", "fetched"]
    bytes_fetched: int = Field(ge=0)
    seconds: float = Field(ge=0)


class ModelFailed(Message):
    """A model could not be had. `code` is the store's (NO_SPACE, NETWORK …), `detail` holds no secret."""

    TYPE: ClassVar[str] = "warmlane.v1.model.failed"

    node: str
    model: str
    code: str
    detail: str
