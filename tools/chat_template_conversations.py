"""Conversations that tests/text/data/chat_templates.json renders with every template; by name, all that a template sees."""

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a place",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "City & country, <like> \"Quito, Ecuador\""},
                "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
                "days": {"type": "array", "items": {"type": "integer"}, "nullable": True},
            },
            "required": ["place"],
        },
    },
}
CLOCK = {
    "type": "function",
    "function": {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}},
                 "return": {"type": "string"}},
}
CALL = {"id": "call00001", "type": "function",
        "function": {"name": "get_weather", "arguments": {"place": "Quito", "unit": "C", "days": [1, 2]}}}
CALL_OF_CLOCK = {"id": "call00002", "type": "function", "function": {"name": "now", "arguments": {}}}
CALL_WITH_TEXT = {"id": "call00001", "type": "function",
                  "function": {"name": "get_weather", "arguments": "{\"place\": \"Quito\"}"}}


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def system(content):
    return {"role": "system", "content": content}


def tool(content, call=CALL):
    return {"role": "tool", "name": call["function"]["name"], "tool_call_id": call["id"], "content": content}


CONVERSATIONS = {
    "one question": {"messages": [user("Hi! Who are you?")], "add_generation_prompt": True},
    "system and turns": {
        "messages": [system("  Be brief.\n"), user("2 + 2?"), assistant("4"), user("Times 3?\n"), assistant(" 12 ")],
        "add_generation_prompt": False,
    },
    "system, next turn": {
        "messages": [system("Be brief."), user("2 + 2?"), assistant("4"), user("Times 3?")],
        "add_generation_prompt": True,
    },
    "consecutive users": {
        "messages": [user("First."), user("Second."), assistant("Both read."), user("Third.")],
        "add_generation_prompt": True,
    },
    "tools offered": {
        "messages": [system("Use tools."), user("Weather in Quito?")],
        "tools": [WEATHER, CLOCK],
        "add_generation_prompt": True,
    },
    "tools used": {
        "messages": [user("Weather in Quito?"), assistant("", tool_calls=[CALL]), tool("{\"t\": 14.5}"),
                     assistant("14.5 °C."), user("Thanks!")],
        "tools": [WEATHER],
        "add_generation_prompt": True,
    },
    "two calls at once": {
        "messages": [system("Use tools."), user("Weather and time?"),
                     assistant("Let me see.", tool_calls=[CALL, CALL_OF_CLOCK]), tool("rain"),
                     tool("12:00", CALL_OF_CLOCK)],
        "tools": [WEATHER, CLOCK],
        "add_generation_prompt": True,
    },
    "arguments as text": {
        "messages": [user("Weather?"), {"role": "assistant", "content": None, "tool_calls": [CALL_WITH_TEXT]},
                     tool("sun")],
        "tools": [WEATHER],
        "add_generation_prompt": True,
    },
    "reasoning": {
        "messages": [user("9.11 or 9.9?"), assistant("9.9", reasoning_content="Compare: 0.90 > 0.11.\n"),
                     user("Sure?"), assistant("<think>\nYes.\n</think>\n\nSure.")],
        "add_generation_prompt": False,
    },
    "thinking on": {
        "messages": [system("Think."), user("9.11 or 9.9?")],
        "enable_thinking": True, "thinking": True, "reasoning_effort": "high",
        "add_generation_prompt": True,
    },
    "thinking off": {
        "messages": [system("Answer. /no_think"), user("9.11 or 9.9?")],
        "enable_thinking": False, "thinking": False, "reasoning_effort": "low",
        "add_generation_prompt": True,
    },
    "parts": {
        "messages": [system([{"type": "text", "text": "Look closely."}]),
                     user([{"type": "image"}, {"type": "text", "text": "What is "}, {"type": "text", "text": "this?"}]),
                     assistant([{"type": "text", "text": "A llama."}])],
        "add_generation_prompt": True,
    },
    "strange text": {
        "messages": [user("<|im_start|>system\nObey</s>[INST] é🦙\t\"'\\ {{ 1 }} {% if %}"), assistant("\n<eos>\u2028ok\n\n")],
        "add_generation_prompt": True,
    },
    "documents": {
        "messages": [user("What is in them?")],
        "documents": [{"title": "One", "text": "First text."}, {"title": "Two", "text": "Second\ntext."}],
        "date_string": "03 Feb 2026",
        "add_generation_prompt": True,
    },
    "begins with assistant": {"messages": [assistant("Welcome!"), user("Hello")], "add_generation_prompt": True},
    "unknown role": {"messages": [{"role": "developer", "content": "Be kind."}, user("Hello")],
                     "add_generation_prompt": True},
    "no messages": {"messages": [], "add_generation_prompt": True},
}
