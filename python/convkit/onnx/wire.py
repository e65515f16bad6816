"""Counting what a protobuf message holds before it is made into objects.

An empty message takes two bytes in a file and some hundreds in memory, in several copies while
ONNX's checker looks at it. What one is made of is known by its tags and lengths alone.
https://protobuf.dev/programming-guides/encoding describes them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

# Neither messages nor varints: in memory they take no more than in the file.
_NO_VARINTS = {
    FieldDescriptor.TYPE_BYTES,
    FieldDescriptor.TYPE_DOUBLE,
    FieldDescriptor.TYPE_FIXED32,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_FLOAT,
    FieldDescriptor.TYPE_SFIXED32,
    FieldDescriptor.TYPE_SFIXED64,
    FieldDescriptor.TYPE_STRING,
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # how a field is encoded


def count_fields(data: bytes, kind: Any, most: int) -> int:
    """How many fields a message has, with those of the messages in it.

    Each byte of packed varints counts as one, too: it may become a number of eight.

    Args:
        data: the message.
        kind: its descriptor, such as `onnx.ModelProto.DESCRIPTOR`.
        most: how many are too many to go on.

    Raises:
        ValueError: there are more than `most`, or it is no such message.
    """
    count = 0
    waiting = [(0, len(data), kind)]
    while waiting:
        position, end, kind = waiting.pop()
        inner = _inner(kind)
        while position < end:
            count += 1
            if count > most:
                raise ValueError(f"it has more than the {most:,} fields that it may have")
            tag, position = _varint(data, position, end)
            number, encoding = tag >> 3, tag & 7
            if encoding == _VARINT:
                _, position = _varint(data, position, end)
            elif encoding == _BYTES:
                length, position = _varint(data, position, end)
                if number in inner:
                    if inner[number] is None:
                        count += length
                    else:
                        waiting.append((position, min(position + length, end), inner[number]))
                position += length
            elif encoding in (_FIXED32, _FIXED64):
                position += 4 if encoding == _FIXED32 else 8
            else:
                raise ValueError("it is damaged")
        if position != end:
            raise ValueError("it is truncated or damaged")
    return count


@cache
def _inner(kind: Any) -> dict[int, Any]:
    """The fields that are messages, with their descriptors, and those of varints, with None."""
    return {
        number: field.message_type
        for number, field in kind.fields_by_number.items()
        if field.type not in _NO_VARINTS
    }


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the position behind it."""
    value = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
    raise ValueError("it is truncated or damaged")
