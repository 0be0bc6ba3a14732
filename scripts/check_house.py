"""Check the rules of the house that no linter knows; `make lint` runs it.

    python scripts/check_house.py

Reads every file that git tracks, prints one line for each breach (`path:line: rule: sentence`) and
exits with 1 if there is any. Each rule is a function from the tree to its breaches; its docstring is
the rule.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

LONGEST_FILE = 400
LONG_FILE_REASON = f"Longer than {LONGEST_FILE} lines because"
NAMELESS = {"util", "utils", "helper", "helpers", "manager", "managers", "base", "common", "misc"}
FORBIDDEN_IDENTIFIER_WORDS = {"job", "jobs"}
ERROR_FOLDER = "src/closingbell/core/error"
LICENCE_FILE = "requirements/LICENSES.md"
ERROR_ROOT = "ClosingbellError"

# A rule's name and a path that may break it, with the reason. One that is no longer needed is
# itself a breach.
ALLOWANCES: dict[tuple[str, str], str] = {}

# Written so that this file does not itself hold what it forbids.
REGISTRY_HOST = re.compile(
    r"\b(?:pypi\s*\.org|pythonhosted\s*\.org|registry\s*\.(?:npmjs|yarnpkg)|deb\s*\.debian\s*\.org"
    r"|crates\s*\.io\b|proxy\s*\.golang)"
)
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:work|root|tmp)/")


@dataclass(frozen=True)
class Breach:
    """One place where a rule is broken."""

    path: str
    line: int
    rule: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.sentence}"


@dataclass(frozen=True)
class SourceFile:
    """One text file of the tree; `path` is relative to the tree, with forward slashes."""

    path: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def syntax(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def is_source(self) -> bool:
        return self.path.startswith("src/")


@dataclass(frozen=True)
class Tree:
    """The files that the rules look at."""

    files: list[SourceFile] = field(default_factory=list)

    @classmethod
    def tracked(cls, root: Path) -> Tree:
        """Read what git tracks under `root`; files that are not UTF-8 text are left out."""
        names = subprocess.run(
            ["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True
        ).stdout
        files = []
        for name in filter(None, names.split("\0")):
            try:
                files.append(SourceFile(name, (root / name).read_text(encoding="utf-8")))
            except (FileNotFoundError, UnicodeDecodeError):
                continue
        return cls(files)

    @property
    def python(self) -> Iterator[SourceFile]:
        """Every Python file."""
        return (file for file in self.files if file.path.endswith(".py"))

    @property
    def source(self) -> Iterator[SourceFile]:
        """Every Python file of the package."""
        return (file for file in self.python if file.is_source)

    def get(self, path: str) -> SourceFile | None:
        """The file at `path`, if the tree has it."""
        return next((file for file in self.files if file.path == path), None)


def long_file(tree: Tree) -> Iterator[Breach]:
    """A file of src past 400 lines says why in its first lines."""
    for file in tree.source:
        if len(file.lines) > LONGEST_FILE and LONG_FILE_REASON not in "\n".join(file.lines[:20]):
            yield Breach(
                file.path,
                LONGEST_FILE + 1,
                "long-file",
                f'{len(file.lines)} lines: split it by nouns, or say "{LONG_FILE_REASON} ..." on top',
            )


def nameless_file(tree: Tree) -> Iterator[Breach]:
    """No Python file or folder is called utils, helpers, manager or base: a file is one noun."""
    for file in tree.python:
        for part in PurePosixPath(file.path).with_suffix("").parts:
            if NAMELESS & set(part.lower().split("_")):
                yield Breach(file.path, 1, "nameless-file", f"{part!r} names no noun of the field")


def registry_host(tree: Tree) -> Iterator[Breach]:
    """No file names a package registry's host: locks hold versions and hashes only."""
    for file in tree.files:
        for number, line in enumerate(file.lines, 1):
            if found := REGISTRY_HOST.search(line):
                yield Breach(file.path, number, "registry-host", f"names {found.group()}")


def machine_path(tree: Tree) -> Iterator[Breach]:
    """No path of somebody's machine in src, docs or a page of the front."""
    for file in tree.files:
        if not (file.path.startswith(("src/", "docs/")) or file.path.endswith(".md")):
            continue
        for number, line in enumerate(file.lines, 1):
            if found := MACHINE_PATH.search(line):
                yield Breach(file.path, number, "machine-path", f"names {found.group()}")


def forbidden_word(tree: Tree) -> Iterator[Breach]:
    """No identifier of src holds the word "job": what runs is a task, a schedule or a run."""
    for file in tree.source:
        for node in ast.walk(file.syntax):
            for name in _identifiers(node):
                words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
                if FORBIDDEN_IDENTIFIER_WORDS & {word.lower() for word in words}:
                    line = getattr(node, "lineno", 1)
                    yield Breach(file.path, line, "forbidden-word", f"{name!r} says job")


def _identifiers(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.keyword(arg=str(name)) | ast.alias(asname=str(name)):
            yield name
        case ast.ExceptHandler(name=str(name)):
            yield name


def swallowed_error(tree: Tree) -> Iterator[Breach]:
    """Nothing in src catches every error and does nothing."""
    for file in tree.source:
        for node in ast.walk(file.syntax):
            if isinstance(node, ast.ExceptHandler):
                silent = all(_does_nothing(statement) for statement in node.body)
                if silent and _catches_everything(node.type):
                    yield Breach(
                        file.path,
                        node.lineno,
                        "swallowed-error",
                        "say which errors, or do something",
                    )
            elif (
                isinstance(node, ast.Call)
                and _last_name(node.func) == "suppress"
                and any(_catches_everything(argument) for argument in node.args)
            ):
                yield Breach(file.path, node.lineno, "swallowed-error", "say which errors")


def _does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass | ast.Continue) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _catches_everything(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_catches_everything(element) for element in caught.elts)
    return caught is None or _last_name(caught) in {"Exception", "BaseException"}


def _last_name(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return None


def undocumented_method(tree: Tree) -> Iterator[Breach]:
    """A public method of src has a docstring, or bears the name of a documented one elsewhere.

    So a protocol documents its implementations once.
    """
    methods = [
        (file, node)
        for file in tree.source
        for owner in ast.walk(file.syntax)
        if isinstance(owner, ast.ClassDef) and not owner.name.startswith("_")
        for node in owner.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and not any(
            _last_name(decorator) in {"overload", "setter", "deleter"}
            for decorator in node.decorator_list
        )
    ]
    documented = {node.name for _, node in methods if ast.get_docstring(node)}
    for file, node in methods:
        if node.name not in documented:
            yield Breach(file.path, node.lineno, "undocumented-method", f"{node.name} says nothing")


def core_import(tree: Tree) -> Iterator[Breach]:
    """core/ imports the standard library and itself, nothing else."""
    allowed = sys.stdlib_module_names
    for file in tree.source:
        if not file.path.startswith("src/closingbell/core/"):
            continue
        for node in ast.walk(file.syntax):
            match node:
                case ast.Import(names=names):
                    modules = [alias.name for alias in names]
                case ast.ImportFrom(module=str(module), level=0):
                    modules = [module]
                case ast.ImportFrom():
                    modules = ["a relative module"]
                case _:
                    continue
            for module in modules:
                inside = module == "closingbell.core" or module.startswith("closingbell.core.")
                if module.split(".")[0] not in allowed and not inside:
                    yield Breach(file.path, node.lineno, "core-import", f"core imports {module}")


def error_tree(tree: Tree) -> Iterator[Breach]:
    """Every error class stands under its parent in the docstring's tree, with a code of its own."""
    files = [file for file in tree.source if file.path.startswith(ERROR_FOLDER)]
    drawn: dict[str, str | None] = {}
    for file in files:
        drawn.update(_drawn_parents(ast.get_docstring(file.syntax) or ""))
    codes: dict[str, str] = {}
    defined: set[str] = set()
    for file in files:
        for node in file.syntax.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined.add(node.name)
                yield from _misplaced(file.path, node, drawn)
                yield from _miscoded(file.path, node, codes)
    for name in drawn.keys() - defined:
        yield Breach(ERROR_FOLDER, 1, "error-tree", f"{name} is drawn, and there is no such class")


def _misplaced(path: str, node: ast.ClassDef, drawn: dict[str, str | None]) -> Iterator[Breach]:
    parent = _last_name(node.bases[0]) if node.bases else None
    if node.name not in drawn:
        yield Breach(path, node.lineno, "error-tree", f"{node.name} is not in the tree")
    elif node.name != ERROR_ROOT and drawn[node.name] != parent:
        sentence = f"{node.name} is drawn under {drawn[node.name]} and derives from {parent}"
        yield Breach(path, node.lineno, "error-tree", sentence)


def _miscoded(path: str, node: ast.ClassDef, codes: dict[str, str]) -> Iterator[Breach]:
    code = _own_code(node)
    if code is None:
        yield Breach(path, node.lineno, "error-tree", f"{node.name} has no code of its own")
    elif code in codes:
        yield Breach(
            path, node.lineno, "error-tree", f"{node.name} and {codes[code]} share {code!r}"
        )
    else:
        codes[code] = node.name


def _drawn_parents(docstring: str) -> dict[str, str | None]:
    """Read the drawing: a name's parent is the last line above it that begins further left."""
    parents: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in docstring.splitlines():
        names = re.match(r"^[\s│]*(?:[├└]── )?(?P<names>[A-Z]\w+(?: · [A-Z]\w+)*)(?:  .*)?$", line)
        if not names or not (parents or names["names"] == ERROR_ROOT):
            continue
        column = names.start("names")
        while above and above[-1][0] >= column:
            above.pop()
        group = names["names"].split(" · ")
        for name in group:
            parents[name] = above[-1][1] if above else None
        above.append((column, group[0]))
    return parents


def _own_code(node: ast.ClassDef) -> str | None:
    for statement in node.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code)))
                | ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant(value=str(code)))
            ):
                return code
    return None


def licence_table(tree: Tree) -> Iterator[Breach]:
    """requirements/LICENSES.md has one row for each locked package, and says where it is used."""
    locked: dict[str, str] = {}
    for lock, use in (("requirements/dev.txt", "test"), ("requirements/runtime.txt", "runtime")):
        file = tree.get(lock)
        for name in re.findall(r"^([\w.-]+)==", file.text if file else "", re.MULTILINE):
            locked[name] = use
    table = tree.get(LICENCE_FILE)
    rows = dict(
        re.findall(
            r"^\| ([\w.-]+) \|.*\| (runtime|test) \|$", table.text if table else "", re.MULTILINE
        )
    )
    for name in sorted(locked.keys() | rows.keys()):
        if locked.get(name) != rows.get(name):
            sentence = (
                f"{name} is {locked.get(name, 'not locked')}, the table says {rows.get(name)}"
            )
            yield Breach(LICENCE_FILE, 1, "licence-table", sentence)


def changelog(tree: Tree) -> Iterator[Breach]:
    """CHANGELOG.md has an Unreleased section."""
    file = tree.get("CHANGELOG.md")
    if file is None or not re.search(r"^## \[?Unreleased\]?", file.text, re.MULTILINE):
        yield Breach("CHANGELOG.md", 1, "changelog", 'has no "## Unreleased" section')


RULES: list[Callable[[Tree], Iterator[Breach]]] = [
    long_file,
    nameless_file,
    registry_host,
    machine_path,
    forbidden_word,
    swallowed_error,
    undocumented_method,
    core_import,
    error_tree,
    licence_table,
    changelog,
]


def breaches(tree: Tree, allowances: dict[tuple[str, str], str]) -> list[Breach]:
    """Everything that is wrong with the tree, allowances taken off, by path and line."""
    found = [breach for rule in RULES for breach in rule(tree)]
    used = {(breach.rule, breach.path) for breach in found}
    kept = [breach for breach in found if (breach.rule, breach.path) not in allowances]
    kept += [
        Breach(path, 1, "stale-allowance", f"{rule} is allowed here, and nothing needs it")
        for rule, path in allowances.keys() - used
    ]
    return sorted(kept, key=lambda breach: (breach.path, breach.line, breach.rule))


def main() -> int:
    """Check the repository that this script is in; return the exit code."""
    tree = Tree.tracked(Path(__file__).resolve().parent.parent)
    found = breaches(tree, ALLOWANCES)
    for breach in found:
        print(breach)
    print(f"house: {len(tree.files)} files, {len(RULES)} rules, {len(found)} breaches")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
