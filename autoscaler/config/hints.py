"""What the types of settings say: fields, kinds, and the docstrings below fields and members of enumerations."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints


def field_hints(settings: type) -> Mapping[str, Any]:
    """The type of each field, annotations kept."""
    every = get_type_hints(settings, include_extras=True)
    return {each.name: every[each.name] for each in fields(settings)}


def field_docs(settings: type) -> Mapping[str, str]:
    """The docstring of each field, inherited ones included."""
    docs: dict[str, str] = {}
    for base in reversed(settings.__mro__):
        if is_dataclass(base):
            definition = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
            docs |= _docs_of(definition.body if isinstance(definition, ast.ClassDef) else [])
    return docs


def member_docs(names: type[StrEnum]) -> Mapping[str, str]:
    """The docstring of each member of an enumeration, by its value."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(names))).body
    docs = _docs_of(definition.body if isinstance(definition, ast.ClassDef) else [])
    return {names[member].value: text for member, text in docs.items()}


def _docs_of(body: list[ast.stmt]) -> dict[str, str]:
    return {
        target.id: " ".join(following.value.value.split())
        for statement, following in pairwise(body)
        if isinstance(statement, ast.AnnAssign | ast.Assign)
        and isinstance(
            target := statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0], ast.Name
        )
        and isinstance(following, ast.Expr)
        and isinstance(following.value, ast.Constant)
        and isinstance(following.value.value, str)
    }


def bare(hint: Any) -> Any:
    """A hint without its annotations."""
    return bare(get_args(hint)[0]) if get_origin(hint) is Annotated else hint


def members(hint: Any) -> tuple[Any, ...]:
    """The members of a union but None; of any other hint, itself."""
    hint = bare(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(found for arg in get_args(hint) if arg is not type(None) for found in members(arg))
    return (hint,)


def is_tagged(hint: Any) -> bool:
    """Whether a hint is a union whose member is told by its `kind`."""
    return any(getattr(note, "discriminator", None) for note in getattr(hint, "__metadata__", ()))


def kinds(hint: Any) -> Mapping[str, type[Any]]:
    """The settings types of a union by their `kind`."""
    return {
        kind: member
        for member in members(hint)
        if isinstance(member, type) and is_dataclass(member) and "kind" in field_hints(member)
        for kind in get_args(bare(field_hints(member)["kind"]))
    }
