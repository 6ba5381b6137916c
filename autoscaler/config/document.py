"""A settings file as plain data that still knows what was written where.

Every scalar is kept as the text it was written with, or None where nothing was: the type of a setting decides how its
text is read, never YAML's guess. So a region ``NO`` stays a region, a tag ``1.10`` keeps its zero, and a value that
comes from the environment, or from a file of its own, is read like one written in the file. Both are put in after
parsing, so that no value can change the structure of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from autoscaler.core.errors import SettingsError

Where = tuple[str | int, ...]
"""Where a setting lies: keys and list positions from the top."""

_MAX_NODES = 100_000
"""Far beyond any real file; an alias of an alias of an alias grows without bound."""
_TOO_MANY = f"not a settings file: it has more than {_MAX_NODES} values"
_MERGE = "tag:yaml.org,2002:merge"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_MAX_FILE_BYTES = 65_536
"""Of a value in a file of its own: a key, a password, a certificate."""
_FILE = "file:"
_DOLLAR = re.compile(r"\$(?:\$|\{([^}]*)\}|(?=\{))")
_VARIABLE = re.compile(r"([A-Za-z_]\w*)(?::-(.*))?", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file."""

    path: Where
    message: str
    shown: str | None = None
    """What to show instead of what was written there."""


@dataclass(slots=True)
class Document:
    """A file's data, and the line and text of each of its places."""

    data: object = None
    lines: dict[Where, int] = field(default_factory=dict)
    texts: dict[Where, str] = field(default_factory=dict)
    """Scalars as written, before variables were put in."""
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Where) -> int:
        """The line of a place, or of the nearest place around it that was written."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def at(self, path: Where) -> object:
        """The data at a place; None where there is nothing."""
        value = self.data
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value


def read_document(text: str, env: Mapping[str, str], example: str) -> Document:
    """Parse YAML and put the variables in. `example` is a file that shows what may be written.

    Raises:
        SettingsError: it is not one YAML document, or is empty.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            raise SettingsError(f"the file is empty; {example} shows what belongs there")
        return _Reader(loader, env).read(node)
    except yaml.MarkedYAMLError as error:
        raise SettingsError(_syntax_problem(error, text)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SettingsError(f"not valid YAML: a character that may not stand in a file (line {line})") from error
    except RecursionError as error:
        raise SettingsError("not a settings file: it is nested too deeply") from error


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> str:
    problem, mark = f"not valid YAML: {error.problem or error.context}", error.problem_mark or error.context_mark
    if mark is None:
        return problem
    lines = text.splitlines()
    if mark.line < len(lines) and "${" in lines[mark.line]:
        problem += '; within { } a variable needs quotes: "${NAME}"'
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})"


class _Reader:
    """Turns YAML nodes into a document."""

    def __init__(self, loader: yaml.SafeLoader, env: Mapping[str, str]) -> None:
        self._loader = loader
        self._env = env
        self._document = Document()
        self._nodes = 0
        self._own_keys: dict[yaml.MappingNode, list[yaml.Node]] = {}

    def read(self, root: yaml.Node) -> Document:
        self._document.data = self._value(root, ())
        return self._document

    def _value(self, node: yaml.Node, path: Where) -> object:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise SettingsError(_TOO_MANY)
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if node.tag.startswith("!"):
            self._problem(path, f"the tag {node.tag} is not known; a variable is written ${{NAME}}")
        if isinstance(node, yaml.MappingNode):
            return {key: self._value(value, (*path, key)) for key, value in self._items(node, path)}
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else None

    def _scalar(self, node: yaml.ScalarNode, path: Where) -> str | None:
        if node.style is None and node.value in _NULLS:
            return None
        self._document.texts[path] = node.value
        return self._fill_in(node.value, path)

    def _items(self, node: yaml.MappingNode, path: Where) -> Iterator[tuple[str, yaml.Node]]:
        self._check_keys(node, path)
        if _entries(node, {}) > _MAX_NODES:  # before they are merged: each merge may be nine times the one within
            raise SettingsError(_TOO_MANY)
        self._loader.flatten_mapping(node)
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                self._document.lines[(*path, key.value)] = key.start_mark.line + 1
                yield key.value, value

    def _check_keys(self, node: yaml.MappingNode, path: Where) -> None:
        """Refuse keys given twice; before `<<` is merged in, whose keys may rightly be given again."""
        # An alias brings the same node again, by then with the keys merged in.
        own = self._own_keys.setdefault(node, [key for key, _ in node.value])
        first: dict[str, int] = {}
        for key in own:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._problem(path, f"the key in line {line} must be plain text, not a list or a mapping", "")
            elif key.value in first:
                self._problem((*path, key.value), f"first given in line {first[key.value]}", "given twice")
            else:
                first[key.value] = line

    def _fill_in(self, text: str, path: Where) -> str:
        """The text with ``${NAME}``, ``${NAME:-default}`` and ``${file:/PATH}`` replaced, and ``$$`` as ``$``."""

        def replacement(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            try:
                return self._value_of(match[1] or "")
            except ValueError as error:
                self._problem(path, str(error))
                return match[0]

        return _DOLLAR.sub(replacement, text)

    def _value_of(self, reference: str) -> str:
        """What stands for the words within ``${ }``.

        Raises:
            ValueError: nothing does.
        """
        if reference.startswith(_FILE):
            return _content(Path(reference.removeprefix(_FILE)))
        variable = _VARIABLE.fullmatch(reference)
        if variable is None:
            raise ValueError(
                "a variable is written ${NAME} or ${NAME:-default}, a file ${file:/PATH}; write $$ for a plain $"
            )
        name, default = variable.groups()
        value = self._env.get(name)
        if default is not None:
            return value or default
        if value is None:
            raise ValueError(f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}")
        return value

    def _problem(self, path: Where, message: str, shown: str | None = None) -> None:
        self._document.problems.append(Problem(path, message, shown))


def _entries(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """How many entries a mapping has once what `<<` names is merged into it."""
    if node not in known:
        known[node] = 0  # a mapping that is merged into itself ends there
        if isinstance(node, yaml.SequenceNode):
            known[node] = sum(_entries(each, known) for each in node.value)
        elif isinstance(node, yaml.MappingNode):
            known[node] = sum(_entries(value, known) if key.tag == _MERGE else 1 for key, value in node.value)
    return known[node]


def _content(path: Path) -> str:
    """The text of a file, without the line break at its end.

    Raises:
        ValueError: it is none that can be read.
    """
    if not path.is_absolute():
        raise ValueError(
            f"the file {path} is not named from the root; expected a path such as /run/secrets/{path.name}"
        )
    try:
        if not path.is_file():
            raise ValueError(f"there is no file {path}, or it is none; create it, or mount it here")
        with path.open("rb") as opened:
            content = opened.read(_MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            raise ValueError(f"the file {path} is larger than {_MAX_FILE_BYTES} bytes; expected one value")
        return content.decode().rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"the file {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"the file {path} is no text in UTF-8") from error
