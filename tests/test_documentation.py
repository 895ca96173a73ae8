"""The documentation's excerpts are those of the files, and the commands it shows exist."""

import re
from pathlib import Path

import click
import pytest

from flows.cli import main

REPOSITORY = Path(__file__).parent.parent
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
EXCERPT = re.compile(r"<!-- excerpt: (\S+) -->\n```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_excerpts_are_verbatim(page):
    for path, excerpt in EXCERPT.findall(page.read_text()):
        assert excerpt in (REPOSITORY / path).read_text(), f"{page.name} shows what {path} does not say"


def test_the_guides_show_excerpts():
    for name in ("add-a-method.md", "add-a-problem.md"):
        assert EXCERPT.findall((REPOSITORY / "docs" / name).read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page):
    for line in re.findall(r"^(?:    )?(?:\$ )?assay (\w+[^\n#]*)", page.read_text(), re.MULTILINE):
        name, *words = line.split()
        assert name in main.commands, f"{page.name}: assay {name}"
        options = {
            option
            for parameter in main.commands[name].params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        for word in words:
            assert not word.startswith("--") or word.split("=")[0] in options | {"--help"}, f"{page.name}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_command_has_help():
    for command in main.commands.values():
        assert command.get_short_help_str()
        assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))
