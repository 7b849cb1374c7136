"""A public type has a name of its own: no class or type alias shares its name with one of another module."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    str(path.relative_to(ROOT)): path.read_text()
    for folder in ("pos_client", "inventory_server")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def defined_types(source: str) -> Iterator[str]:
    """The public classes and type aliases at the top level of a module."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign):
            yield from _named_like_a_type(node.target)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _named_like_a_type(target)


def _named_like_a_type(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Name) and target.id[0].isupper() and not target.id.isupper():
        yield target.id


def shared_names(sources: Mapping[str, str]) -> dict[str, list[str]]:
    """The public type names defined in more than one module, and the modules."""
    modules = defaultdict(list)
    for module, source in sources.items():
        for name in defined_types(source):
            if not name.startswith("_"):
                modules[name].append(module)
    return {name: found for name, found in modules.items() if len(found) > 1}


def test_no_two_modules_define_a_type_of_the_same_name() -> None:
    assert shared_names(SOURCES) == {}


def test_a_shared_name_is_found_whether_class_or_alias() -> None:
    sources = {
        "one.py": "class Reply: ...\nclass _Entry: ...\nMAX = 1",
        "two.py": "Reply: TypeAlias = int | str\nMAX = 2",
        "three.py": "Key = tuple[str, str]\nclass _Entry: ...",
        "four.py": "class Key: ...",
    }
    assert shared_names(sources) == {"Reply": ["one.py", "two.py"], "Key": ["three.py", "four.py"]}
