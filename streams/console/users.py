"""The password file: one line ``user:role:argon2 hash`` for each user."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

from streams.configuration.reader import ConfigurationError
from streams.console.models import Role

USER = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029:]{1,100}"
MAX_PASSWORD = 1000
FAILED_S = 1.0
"""Pause after a wrong password for the same user from the same address, in seconds."""
MAX_WAITING = 5
"""Largest number of waiting sign-ins of one user from one address."""
MAX_ADDRESS_WAITING = 20
"""Largest number of waiting sign-ins from one address."""
MAX_ALL_WAITING = 100
"""Largest number of waiting sign-ins."""

_hasher = PasswordHasher()


class User(NamedTuple):
    """One line of the file."""

    name: str
    role: Role
    hash: str

    @property
    def mark(self) -> str:
        """A mark that changes with the password, so that sessions of the old password end."""
        return hashlib.sha256(self.hash.encode()).hexdigest()[:16]


class Busy(Exception):
    """Too many people are signing in at once."""


def password_line(user: str, role: Role, password: str) -> str:
    """Return a user's line for the password file.

    Raises:
        ValueError: The name is not valid, or the password is too short or too long.
    """
    if not re.fullmatch(USER, user):
        raise ValueError(f"user {user!r}: must be 1 to 100 characters, no colon and no control characters")
    if not 8 <= len(password) <= MAX_PASSWORD:
        raise ValueError(f"the password must be 8 to {MAX_PASSWORD} characters long")
    return f"{user}:{role}:{_hasher.hash(password)}"


def read_users(path: Path) -> dict[str, User]:
    """Return the users of a password file by name. Empty lines and lines that begin with # are ignored.

    Raises:
        ConfigurationError: The file cannot be read, or a line is not one that ``hotspots password`` prints.
    """
    users: dict[str, User] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"console.password_file: {path}: cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        user = _user(line.strip().split(":"))
        if user is None or user.name in users:
            raise ConfigurationError(
                f"console.password_file: {path}, line {number}: must be user:role:hash, each user once, "
                "as `hotspots password USER --role operator` prints it"
            )
        users[user.name] = user
    if not users:
        raise ConfigurationError(
            f"console.password_file: {path}: must hold a user; `hotspots password USER --role operator` prints a line"
        )
    return users


def _user(fields: list[str]) -> User | None:
    try:
        user = msgspec.convert(fields, User)
        extract_parameters(user.hash)
    except (msgspec.ValidationError, InvalidHashError):
        return None
    return user if re.fullmatch(USER, user.name) else None


class Passwords:
    """Checks passwords one at a time, because each check costs memory and time.

    Attempts for one user from one address take turns, and a wrong password costs a pause. So guesses from other
    addresses lock nobody out, unless the addresses are many. The result does not reveal whether a user exists. Behind a
    reverse proxy, all users have the proxy's address.
    """

    def __init__(self, users: Mapping[str, User]) -> None:
        self.users = users
        self._nobody = User("", "viewer", _hasher.hash("nobody's"))
        self._checking = asyncio.Semaphore(1)
        self._turns: dict[tuple[str, str], asyncio.Lock] = {}
        self._waiting: Counter[tuple[str, str]] = Counter()

    async def check(self, name: str, password: str, address: str) -> User | None:
        """Return the user, or None for a wrong password. An unknown name takes as long as a known one.

        Raises:
            Busy: Too many sign-ins wait: for this user from this address, from this address, or in total.
        """
        who = address, name
        waiting = self._waiting
        of_address = sum(number for (other, _), number in waiting.items() if other == address)
        if waiting[who] >= MAX_WAITING or of_address >= MAX_ADDRESS_WAITING or waiting.total() >= MAX_ALL_WAITING:
            raise Busy
        self._waiting[who] += 1
        try:
            async with self._turns.setdefault(who, asyncio.Lock()):
                user = self.users.get(name, self._nobody)
                async with self._checking:
                    is_right = await asyncio.to_thread(_is_right, user, password)
                if is_right and user is not self._nobody:
                    return user
                await asyncio.sleep(FAILED_S)
                return None
        finally:
            self._waiting[who] -= 1
            if not self._waiting[who]:
                del self._waiting[who], self._turns[who]


def _is_right(user: User, password: str) -> bool:
    try:
        return _hasher.verify(user.hash, password)
    except Argon2Error:
        return False
