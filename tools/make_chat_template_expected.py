#!/usr/bin/env python3
"""Writes what Transformers' own template engine makes of the chat templates and snippets that the tests render.

Templates are compiled by Transformers' function, which configures Jinja; only the clock is fixed. The templates lie in
tests/text/data/chat_templates/, conversations in chat_template_conversations.py, snippets in chat_template_snippets_data.py.

usage: make_chat_template_expected.py [DEMO_MODEL.gguf]

Files written:
  tests/text/data/jinja_snippets.json   variables; snippets with their text; snippets that fail, with the kind of error
  tests/text/data/chat_templates.json   conversations; for each template and conversation the text, or the error
  tests/models/data/demo_chats.json     the demo model's own template, if it is given: for each conversation the text
"""

import datetime
import json
import pathlib
import re
import sys

import gguf
import jinja2
from transformers.utils import chat_template_utils

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import chat_template_conversations as conversations_module
import chat_template_snippets_data as snippets

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "text" / "data"
DEMO_DATA = ROOT / "tests" / "models" / "data"
NOW = datetime.datetime(2026, 2, 3, 4, 5, 6)

# Whose messages the engine gives in the same words.
KINDS = {jinja2.exceptions.UndefinedError: "undefined", jinja2.exceptions.SecurityError: "undefined",
         jinja2.exceptions.TemplateError: "raised"}


def render(source, variables):
    """(text, None), or (None, (kind, message)) where kind is syntax, undefined, raised or other."""
    try:
        template = chat_template_utils._cached_compile_jinja_template(source)
        template.environment.globals["strftime_now"] = template.globals["strftime_now"] = NOW.strftime
        return template.render(**variables), None
    except (jinja2.exceptions.TemplateSyntaxError, SyntaxError) as error:
        if isinstance(error, jinja2.exceptions.TemplateAssertionError):
            return None, ("other", str(error))  # an unknown filter or test: the engine finds it when it is used
        return None, ("syntax", str(error))
    except Exception as error:
        return None, (KINDS.get(type(error), "other"), str(error))


def is_writable(text):
    """Whether the text can be compared: neither lone surrogates nor addresses of objects."""
    return not re.search(r"[\ud800-\udfff]| at 0x[0-9a-f]+", text)


def write(path, content):
    path.write_text(json.dumps(content, ensure_ascii=False, indent=0, separators=(",", ":")) + "\n")


def make_snippets():
    sources = ["{{ " + expression + " }}" for expression in split_expressions(snippets.EXPRESSIONS)] + snippets.SNIPPETS
    failing = ["{{ " + expression + " }}" for expression in snippets.ERRORS.split("\n")]
    failing += [source for source, _ in snippets.BROKEN]
    good, bad = [], []
    for source in sources + failing:
        text, error = render(source, snippets.VARIABLES)
        if error is None:
            if source in failing:
                print("renders, though it should fail:", source, "->", text)
            if is_writable(text):
                good.append([source, text])
            else:
                print("cannot be compared:", source, "->", text)
        else:
            if source not in failing:
                print("fails, though it should render:", source, "->", error)
            bad.append([source, *error])
    for source, kind in snippets.BROKEN:
        error = render(source, snippets.VARIABLES)[1]
        if error is None or (error[0] == "syntax") != (kind == "syntax"):
            print("fails otherwise:", source, "->", error)
    write(DATA / "jinja_snippets.json", {"variables": snippets.VARIABLES, "good": good, "bad": bad})
    print(len(good), "snippets,", len(bad), "errors")


def split_expressions(block):
    """One a line; a line that ends with a backslash goes on."""
    return re.split(r"(?<!\\)\n", block)


def make_templates():
    conversations = conversations_module.CONVERSATIONS
    expected = {}
    texts = errors = 0
    for path in sorted((DATA / "chat_templates").glob("*.jinja")):
        results = expected[path.stem] = {}
        for name, variables in conversations.items():
            text, error = render(path.read_text(), {**conversations_module.TOKENS, **variables})
            if error is None:
                results[name] = text
                texts += 1
            else:
                if error[0] in ("syntax", "other"):
                    print(f"{path.stem} / {name}: {error}")
                results[name] = {"kind": error[0], "message": error[1]}
                errors += 1
    write(DATA / "chat_templates.json",
          {"tokens": conversations_module.TOKENS, "conversations": conversations, "expected": expected})
    print(len(expected), "templates,", texts, "texts,", errors, "errors")


def make_demo(path):
    field = gguf.GGUFReader(path).fields["tokenizer.chat_template"]
    source = bytes(field.parts[field.data[0]]).decode()
    texts = {}
    for name, variables in conversations_module.CONVERSATIONS.items():
        text, error = render(source, variables)
        if error is None:
            texts[name] = text
    write(DEMO_DATA / "demo_chats.json", texts)
    print(len(texts), "chats of the demo model")


if __name__ == "__main__":
    make_snippets()
    make_templates()
    if len(sys.argv) > 1:
        make_demo(sys.argv[1])
