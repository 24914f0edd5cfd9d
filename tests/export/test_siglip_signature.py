"""A signed manifest is accepted by OpenSSH itself, and a changed one is not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dermedge import UsageError
from dermedge_export.signature import NAMESPACE, require_key, sign


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def accepted(key: Path, manifest: bytes, signature: Path) -> bool:
    signers = key.with_name("allowed_signers")
    signers.write_text("maker " + key.with_suffix(".pub").read_text())
    command = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "maker", "-n", NAMESPACE, "-s", str(signature)]
    return subprocess.run(command, input=manifest, capture_output=True, check=False).returncode == 0


def test_openssh_accepts_the_manifest_that_was_signed_and_no_other(key: Path, tmp_path: Path) -> None:
    manifest, signature = tmp_path / "pack.json", tmp_path / "pack.sig"
    manifest.write_bytes(b'{"schema": 1}\n')
    require_key(key)
    sign(manifest, key, signature)
    assert accepted(key, manifest.read_bytes(), signature)
    assert not accepted(key, manifest.read_bytes() + b" ", signature)
    before = signature.read_bytes()
    sign(manifest, key, signature)
    assert signature.read_bytes() == before


def test_a_key_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such key"):
        require_key(tmp_path / "none")
    (tmp_path / "text").write_text("hello\n")
    (tmp_path / "text").chmod(0o600)
    (tmp_path / "pack.json").write_text("{}")
    with pytest.raises(UsageError, match="could not sign"):
        sign(tmp_path / "pack.json", tmp_path / "text", tmp_path / "sig")
    assert not (tmp_path / "sig").exists()
