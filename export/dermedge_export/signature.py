"""A detached OpenSSH signature of a pack's manifest, which vouches for every file of the pack by its sha256."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from dermedge.errors import UsageError

NAMESPACE = "dermedge-pack"


def require_key(key: Path) -> None:
    """Before a long export, not after it."""
    if not key.is_file():
        raise UsageError(f"{key}: no such key; make one with `ssh-keygen -t ed25519 -f FILE`")
    if shutil.which("ssh-keygen") is None:
        raise UsageError("signing needs ssh-keygen, which is not installed; install OpenSSH")


def sign(manifest: Path, key: Path, target: Path) -> None:
    """Write the signature to `target`; an ed25519 key gives the same bytes each time."""
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE]
    done = subprocess.run(command, input=manifest.read_bytes(), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(f"{key}: ssh-keygen could not sign with it ({said[-1] if said else 'no reason given'})")
    target.write_bytes(done.stdout)
