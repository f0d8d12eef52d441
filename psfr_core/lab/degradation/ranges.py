"""Define configurations whose fields are probabilities, counts and ranges; check them and convert them to JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from enum import Enum
from typing import Any, TypeVar

from ...errors import OptionError
from ...options import check_value

T = TypeVar("T")
C = TypeVar("C", bound="RangeConfig")
Range = tuple[float, float]


class FieldKind(Enum):
    """Type of the value of a field of a ``RangeConfig``."""

    PROBABILITY = "probability"  # a number from 0 to 1
    RANGE = "range"  # (low, high), including both ends
    COUNT = "count"  # an integer


@dataclass(frozen=True)
class FieldLimits:
    """Type of a field, and the minimum and maximum of the numbers in its value."""

    kind: FieldKind
    low: float
    high: float


def limits_of(config_field: Field[Any]) -> FieldLimits:
    """Return the limits of a field of a ``RangeConfig``."""
    return config_field.metadata["limits"]


def probability(default: float, description: str) -> float:
    """Return a dataclass field for a probability."""
    return _limited(default, description, FieldLimits(FieldKind.PROBABILITY, 0.0, 1.0))


def number_range(default: Range, description: str, *, low: float, high: float) -> Range:
    """Return a dataclass field for a range within ``low`` to ``high``."""
    return _limited(default, description, FieldLimits(FieldKind.RANGE, low, high))


def count(default: int, description: str, *, low: int, high: int) -> int:
    """Return a dataclass field for an integer from ``low`` to ``high``."""
    return _limited(default, description, FieldLimits(FieldKind.COUNT, low, high))


def _limited(default: T, description: str, limits: FieldLimits) -> T:
    return field(default=default, metadata={"description": description, "limits": limits})


@dataclass(frozen=True)
class RangeConfig:
    """Base of configurations with ranges. Raises OptionError for values out of their limits."""

    def __post_init__(self) -> None:
        for config_field in ranged_fields(type(self)):
            name, value, limits = config_field.name, getattr(self, config_field.name), limits_of(config_field)
            match limits.kind:
                case FieldKind.PROBABILITY:
                    check_value(name, value, float, low=limits.low, high=limits.high)
                case FieldKind.COUNT:
                    check_value(name, value, int, low=limits.low, high=limits.high)
                case FieldKind.RANGE:
                    _check_range(name, value, limits.low, limits.high)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name as JSON values; ranges become lists."""
        return {part.name: _json_value(getattr(self, part.name)) for part in fields(self)}

    @classmethod
    def from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
        """Return the configuration for the result of ``to_dict``. Missing fields have their defaults.

        Raises OptionError for unknown fields and for values out of range.
        """
        known = [config_field.name for config_field in fields(cls)]
        unknown = [name for name in values if name not in known]
        if unknown:
            raise OptionError(
                f"Unknown fields of a degradation: {', '.join(unknown)}. Known fields: {', '.join(known)}."
            )
        ranges: dict[str, Any] = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **ranges})


def ranged_fields(config: type[RangeConfig]) -> list[Field[Any]]:
    """Return the fields that are probabilities, counts or ranges."""
    return [config_field for config_field in fields(config) if "limits" in config_field.metadata]


def _json_value(value: Any) -> Any:
    match value:
        case RangeConfig():
            return value.to_dict()
        case tuple():
            return list(value)
        case _:
            return value


def _check_range(name: str, value: object, minimum: float, maximum: float) -> None:
    match value:
        case (int() | float() as low, int() | float() as high) if isinstance(value, tuple):
            if not minimum <= low <= high <= maximum:
                raise OptionError(
                    f"{name} must be (low, high) with {minimum:g} <= low <= high <= {maximum:g}, got {value}."
                )
        case _:
            raise OptionError(f"{name} must be two numbers (low, high), got {value!r}.")
