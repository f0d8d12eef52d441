"""Upload converted weights to a repository on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..errors import CheckpointError, ModelNotFoundError, PublishError
from ..files import expand_user
from .manifest import hub_address
from .metadata import read_metadata
from .model_card import model_card

CARD_NAME = "README.md"


class HubApi(Protocol):
    """The methods of ``huggingface_hub.HfApi`` that ``publish_weights`` calls."""

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> object: ...

    def file_exists(self, repo_id: str, filename: str) -> bool: ...

    def upload_file(self, *, path_or_fileobj: str | bytes, path_in_repo: str, repo_id: str) -> object: ...


def publish_weights(path: str | Path, repo_id: str, *, private: bool = False, api: HubApi | None = None) -> str:
    """Upload a converted weight file with a model card to the repository ``repo_id`` (``OWNER/NAME``). Return the file's address.

    If the repository does not exist, it is created, and ``private`` makes it private. An existing model card is kept. The default
    ``api`` uses the login of ``huggingface_hub``.
    Raises ModelNotFoundError for a missing file, CheckpointError for a file that ``convert_weights`` has not written, and
    PublishError for a failed upload.
    """
    path = expand_user(path)
    if not path.is_file():
        raise ModelNotFoundError(f"There is no file {path}. Check the path.")
    metadata = read_metadata(path)
    if metadata is None:
        raise CheckpointError(f"{path.name} is not a converted weight file. Convert it first.")
    card = model_card(path, metadata)
    api = api or _default_api()
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        api.upload_file(path_or_fileobj=str(path), path_in_repo=path.name, repo_id=repo_id)
        if not api.file_exists(repo_id, CARD_NAME):
            api.upload_file(path_or_fileobj=card.encode(), path_in_repo=CARD_NAME, repo_id=repo_id)
    except Exception as error:  # the Hub client raises errors of several packages, which differ between versions
        raise PublishError(
            f"{path.name} could not be uploaded to {repo_id}: {error}. "
            "Log in with `hf auth login`, and check that the repository is yours and written OWNER/NAME."
        ) from error
    return f"{hub_address()}/{repo_id}/blob/main/{path.name}"


def _default_api() -> HubApi:
    from huggingface_hub import HfApi

    return HfApi()
