"""Aliases decide which version answers: a single module moves them, after the audit has the reason."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MOVES = {
    *("set_champion", "restore_champion", "set_canary", "clear_canary", "set_challenger"),
    *("point_alias", "drop_alias"),
    *("set_registered_model_alias", "delete_registered_model_alias"),
}
REGISTRY, DECISIONS = "stack/registry/registry.py", "stack/promotion/decisions.py"


def moves(path: Path) -> set[str]:
    """Return the names of a module that move an alias, wherever it mentions them."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return MOVES & (attributes | {node.id for node in nodes if isinstance(node, ast.Name)})


def test_only_decisions_move_aliases():
    paths = [
        path
        for room in ("stack", "flows", "services", "monitoring", "feature_repo")
        for path in sorted((ROOT / room).rglob("*.py"))
    ]
    movers = {str(path.relative_to(ROOT)) for path in paths if moves(path)}
    assert movers == {REGISTRY, DECISIONS}
