"""Checking what a world's file says, field by field."""

import reprlib
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from irecgan.errors import UserError

Spec = TypeVar("Spec", bound=BaseModel)


def parse_spec(spec: type[Spec], source: str, fields: Any) -> Spec:
    """Check ``fields`` and make them a ``spec``. Raises UserError naming ``source`` and the first wrong field."""
    if not isinstance(fields, dict):
        first, second, *_ = spec.model_fields
        raise UserError(f"{source}: found {reprlib.repr(fields)}, expected an object with {first}, {second}, ...")
    try:
        return spec(**fields)
    except ValidationError as error:
        raise UserError(f"{source}: {_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    field, *indices = problem["loc"]
    place = str(field) + "".join(f"[{index}]" for index in indices)
    if problem["type"] == "missing":
        return f"{place}: found nothing, expected this field"
    if problem["type"] == "extra_forbidden":
        return f"{place}: no such field"
    expected = problem["msg"].removeprefix("Input should be ")
    return f"{place}: found {reprlib.repr(problem['input'])}, expected {expected}"
