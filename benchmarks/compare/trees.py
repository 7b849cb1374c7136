"""The source trees to compare, as copies in a temporary folder: a commit, and the checkout as it is now."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


class UsageError(Exception):
    """What was asked for cannot be compared; the text says what to do."""


def commit_named(name: str) -> str:
    """The full id of the commit `name`."""
    if not name:
        raise UsageError("Name the commit to compare with: make bench-compare BASE=<commit>.")
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found is None:
        raise UsageError(f"Git knows no commit {name!r} here: check the name, or `git fetch` it first.")
    return found.strip()


def described(commit: str) -> str:
    """The short id and the subject of a commit."""
    return (_git("log", "-1", "--format=%h %s", commit) or commit).strip()


def checkout_described() -> str:
    """What the checkout is: a commit, and whether anything has been changed since."""
    changed = " (with uncommitted changes)" if _git("status", "--porcelain") else ""
    return described("HEAD") + changed


def unpack_commit(commit: str, folder: Path) -> Path:
    """The files of `commit` in `folder`; unlike a worktree, nothing in the repository has to be undone."""
    packed = folder.with_suffix(".tar")
    if _git("archive", "--format=tar", f"--output={packed}", commit) is None:
        raise UsageError(f"Git cannot unpack the commit {commit}: check the repository with `git fsck`.")
    folder.mkdir()
    shutil.unpack_archive(packed, folder)
    packed.unlink()
    return folder


def copy_checkout(folder: Path) -> Path:
    """The files of the checkout in `folder`, new and changed ones too, so that it may be edited meanwhile."""
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard") or ""
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():  # not so where it was deleted and that is not committed yet
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return folder


def _git(*arguments: str) -> str | None:
    """What git prints; None where it fails."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UsageError("Comparing commits needs git; on Debian: apt-get install git") from error
    return done.stdout if done.returncode == 0 else None
