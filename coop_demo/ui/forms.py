"""What people type into number fields: the number, or one sentence that names the field."""

import math
from typing import Any

from coop_demo.errors import UserError
from coop_demo.languages import page as strings


def number(value: Any, label: str, *, error: type[UserError] = UserError) -> float:
    """A finite number; `error` says which field holds something else."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise error(strings.not_a_number(label))
    return found


def whole(
    value: Any, label: str, low: int, high: int, *, error: type[UserError] = UserError
) -> int:
    """A whole number from low to high; `error` says which field holds something else."""
    found = number(value, label, error=error)
    if found != int(found) or not low <= found <= high:
        raise error(strings.out_of_range(label, found, low, high))
    return int(found)
