"""The pack: the only contract between export and runtime."""

from .manifest import Manifest
from .reading import canonical, digest_of, document_of, read_manifest
from .store import Installed, embedded, find, install, listing, remove, rollback, root
from .verify import VerifiedPack, verify

__all__ = [
    "Installed",
    "Manifest",
    "VerifiedPack",
    "canonical",
    "digest_of",
    "document_of",
    "embedded",
    "find",
    "install",
    "listing",
    "read_manifest",
    "remove",
    "rollback",
    "root",
    "verify",
]
