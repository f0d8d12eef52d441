"""List the addresses from which known models can be downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from .manifest import ModelFile, hub_address, hub_file_address


@dataclass(frozen=True)
class Source:
    """Address of a model file.

    ``file_name`` is the name of the file in the model folder, and ``place`` is the address of its repository or web page, for
    messages.
    """

    url: str
    file_name: str
    place: str
    is_on_hub: bool = True

    @property
    def token(self) -> str | None:
        """User's token for the Hub. None for other servers, which must not receive the token."""
        from huggingface_hub import get_token

        return get_token() if self.is_on_hub else None


def sources_of(entry: ModelFile, repo_id: str | None = None) -> list[Source]:
    """Return the addresses of ``entry`` in the order in which they are tried.

    With ``repo_id``, they are the addresses of the converted copy and of the file in this repository on the Hub. Otherwise, they
    are the known copy on the Hub and the official release. Raises ValueError for an invalid ``repo_id``.
    """
    if repo_id is not None:
        return [_on_hub(repo_id, name, None) for name in (entry.converted_name, entry.file_name)]
    known = [_on_hub(entry.repo_id, entry.repo_path or entry.file_name, entry.revision)] if entry.repo_id else []
    official = [Source(entry.url, entry.file_name, entry.page or entry.url, is_on_hub=False)] if entry.url else []
    return [*known, *official]


def manual_addresses(entry: ModelFile, repo_id: str | None) -> list[str]:
    """Return the addresses for manual downloads of ``entry``. Addresses in the repository ``repo_id`` come first."""
    tried = [hub_file_address(repo_id, name) for name in (entry.converted_name, entry.file_name)] if repo_id else []
    return [*tried, *entry.addresses]


def _on_hub(repo_id: str, path: str, revision: str | None) -> Source:
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(repo_id, path, revision=revision, endpoint=hub_address())
    return Source(url, PurePosixPath(path).name, f"{hub_address()}/{repo_id}")
