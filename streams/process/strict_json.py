"""Decodes JSON from outside to one strict type, or refuses it with one kind of error."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A whole number from 0 on that every reader of JSON can hold."""


class StrictDecoder(Generic[T]):
    """A decoder for JSON of one type. Bytes that are not UTF-8 or are nested too deeply are a DecodeError too."""

    def __init__(self, type_: Any) -> None:
        self._decode = msgspec.json.Decoder(type_).decode

    def decode(self, value: bytes | None) -> T:
        """Return what the bytes hold; None counts as empty.

        Raises:
            msgspec.DecodeError: The bytes are not JSON of this type.
        """
        try:
            decoded: T = self._decode(value or b"")
        except UnicodeDecodeError as error:
            raise msgspec.DecodeError(f"must be UTF-8: {error.reason}") from None
        except RecursionError:
            raise msgspec.DecodeError("nested too deeply") from None
        return decoded
