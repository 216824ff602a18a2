"""Texts for make_tokenizer_expected.py: what its vocabularies are trained on, and the corpus that they are tried on."""

TRAINING = [
    """The high grassland lies between the mountains and the sky. In the morning the herders open the gates, and the
llamas walk out to the slopes where the grass is still white with frost. It isn't far, they'd say; we've walked it
since we were children, and we'll walk it again tomorrow. She's the one who knows the weather. I'm not sure that he
doesn't know it too, but they're all waiting for the sun, and that's what matters. The river turns to ice at night and
the stones crack; nobody hears them. When the wind rises in the afternoon the animals turn their backs to it and stand
together, and the herders sit behind the wall with a kettle, a loaf of bread and some cheese. There is time enough for
the old stories: how the first llama came out of the lake, how the stars were counted, and why the fox has a dark tail.
""",
    """A language model reads a sequence of tokens and gives a number to each token that might come next. The numbers
become probabilities, one token is chosen, and the sequence grows by one. Everything else is a matter of speed: how the
weights are stored, how often they are read, and how many of the machine's multiply-add units are busy at a time.
Weights of 4 bits need half the reads of weights of 8 bits; 16 bits need twice as many. In 2017, 2018 and 2019 models
had 65,000,000 or 1,500,000,000 parameters; in 2024 some had 405,000,000,000. Memory of 12.5 GB/s would take 3.14159
seconds for what 100 GB/s does in 0.39. See page 10, 100, 1000 or 10000; call +49 30 1234567 between 09:00 and 17:30.
""",
    """def encode(text, merges):
    symbols = list(text)
    while len(symbols) > 1:
        pairs = [(merges.get((a, b), None), i) for i, (a, b) in enumerate(zip(symbols, symbols[1:]))]
        best = min((p for p in pairs if p[0] is not None), default=None)
        if best is None:
            break
        i = best[1]
        symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]
    return symbols


if __name__ == "__main__":
    print(encode("hello world", {("h", "e"): 0, ("l", "l"): 1}))
""",
    """#include <vector>
int main(int argc, char** argv) {
\tstd::vector<int> values = {1, 2, 3};
\tfor (std::size_t i = 0; i < values.size(); ++i) {
\t\tif (values[i] != 0 && values[i] % 2 == 0) return values[i] >> 1;
\t}
\treturn 0;  // nothing found
}
""",
    "{\"name\": \"puna\", \"version\": [0, 1, 0], \"tags\": [\"cpu\", \"llama\"], \"empty\": null, \"ok\": true}\n",
    """Der Fluss fließt durch das Tal, und über den Dächern liegt Schnee. Größere Höhen erreichen nur die Vögel.
Le garçon naïf a mangé des crêpes à l'été, près de la forêt où l'on entend les élèves. Ça va très bien.
El niño comió una piña en la montaña; ¿qué más querría? ¡Mañana será otro día!
Čeština má háčky a čárky: příliš žluťoučký kůň úpěl ďábelské ódy. Zażółć gęślą jaźń.
Türkçede İstanbul büyük harfle, ısı küçük harfle yazılır. Tiếng Việt có nhiều dấu: đường phố, người, nước.
""",
    """Широкая степь лежит между горами и небом. Утром пастухи открывают ворота, и стадо идёт на склоны.
Το ποτάμι παγώνει τη νύχτα και οι πέτρες σπάνε. Η γλώσσα είναι παλιά και όμορφη.
השפה העברית נכתבת מימין לשמאל. שלום עולם, מה שלומך היום?
اللغة العربية تكتب من اليمين إلى اليسار. مرحبا بالعالم، كيف حالك اليوم؟ السَّلامُ عَلَيْكُمْ
हिन्दी भाषा देवनागरी लिपि में लिखी जाती है। नमस्ते दुनिया, आप कैसे हैं? क्षत्रिय ज्ञान
""",
    """高原の草原は山と空の間にある。朝、牧人は門を開け、リャマは斜面へ歩いて行く。今日は天気がいいですね。
高原草地位于山与天之间。早晨牧人打开大门，羊驼走向山坡。今天天气很好，我们去散步吧。
고원의 풀밭은 산과 하늘 사이에 있다. 아침에 목동이 문을 열면 라마는 비탈로 걸어간다.
ภาษาไทยไม่มีช่องว่างระหว่างคำ สวัสดีชาวโลก
""",
    "I'M SURE IT'S THEIRS; WE'LL SEE WHAT THEY'VE DONE, SHE'D SAID, YOU'RE LATE, DON'T RUN.\n" * 2,
    "😀 😀😀 👍🏽 👩‍👩‍👧‍👦 ❤️ 🇵🇪 🏔️ ok 👍\n" * 3,
    "a  b   c    d     e      f\n\n\n  indented\n    more\n        most\n\t\ttabs\r\nwindows\r\nlines\r\n\r\n",
    " " * 200 + "x" + " " * 77 + "y\n" + "=" * 60 + "\n" + "-" * 60 + "\n",
    "un merge able unmerge mergeable Zy yx !? ?! abc abc abc\n",
]

_CODE = """// A line of code\r\n\tfor(int i=0;i<10;++i){ sum += a[i]*b[i]; }\r\n\r\n
class Grassland:\n    def __init__(self, width: int = 0x1F, *args, **kwargs) -> None:\n        self.width = width  # ok
        if not (self.width >= 1e-9 and self.width <= 3.0E+8): raise ValueError(f"bad {width!r:>10}")\n
SELECT a.id, COUNT(*) FROM t AS a WHERE a.x <> 'it''s' GROUP BY 1;\n<div class="a">&nbsp;</div>\n"""

_COMBINING = "e\u0301 a\u0308\u0323 n\u0303o Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319a\u0324 \u0301alone " \
             "\u0928\u093f \u0e01\u0e33 \u1100\u1161\u11a8 \uac01 \u00e9 \u212b \ufb01 \u1e9b\u0323"

_SPACES = "a\u00a0b\u00a0\u00a0c\u2003d\u2009\u200ae\u3000f\u202fg\u205fh\u1680i\u2028j\u2029k\u0085l\u200bm\ufeffn\u180eo " \
          "\u00a0 \u00a0\u00a0x \u3000\u3000\n\u3000y\t \tz\x0b\x0c\x1c\x1d\x1e\x1f."

CORPUS = [
    "",
    " ",
    "  ",
    "   ",
    "\n",
    "\r\n",
    "\t",
    "a",
    " a",
    "a ",
    "  a  ",
    "Hello world",
    "Hello, world! How are you?",
    "The capital of France is",
    "it's IT'S It'S they're THEY'RE we've WE'VE I'm I'M we'll WE'LL he'd HE'D don't DON'T 's 'S ' s ''s '\u017f x'\u017fy 'lx 'LL",
    "rock'n'roll 'tis 'twas o'clock 'Re-do' 'vend' 'd' 'm\n'll",
    "1 12 123 1234 12345 123456 1234567 3.14 1,000,000 0x1F 1e10 a1b22c333d4444 v1.2.3 +1-2*3/4=5% $9.99",
    "\u0661\u0662\u0663 \u0967\u0968\u0969 \u00bd\u00b2\u2163\u2167 \u3007\u4e00\u4e8c\u4e09 \u2460\u2461 1\u066123 x\u00b2y\u00b3",
    _CODE,
    "    four\n        eight\n  two\n\n\n\nfour newlines\n \n  \n   \nmixed\r\n\r\n \r\n\r\r\n\n\r end \n",
    "trailing spaces   \nand tabs\t\t\n\t \t x \n\n  y\n\n\n",
    "高原の草原は山と空の間にある。朝ごはんを食べましたか？ｶﾀｶﾅ ＡＢＣ１２３",
    "今天天气很好，我们一起去爬山吧！價格是￥123.45元。㐀㐁 𠀀𠀁 龘",
    "한국어 텍스트와 라마, 그리고 ᄀᆨ 옛한글 ㄱㄴㄷ",
    "اللغة العربية جميلة، السَّلَامُ عَلَيْكُمْ ورَحْمَةُ اللهِ ١٢٣٫٤ ﷺ لا",
    "हिन्दी में नमस्ते, क्षत्रिय ज्ञान श्रीमान् १२३। বাংলা தமிழ் తెలుగు",
    "שָׁלוֹם עוֹלָם. ภาษาไทย สวัสดีครับ ລາວ ខ្មែរ မြန်မာ བོད་ཡིག",
    "Привет, мир! Ёжик в тумане. Ελληνικά: Καλημέρα κόσμε. ქართული Հայերեն",
    "Größe fließt über İstanbul ısı ĳ ǅ ŉ ẞ straße naïve café Ünïcödé ünï xünïx",
    "😀😃 👍🏽👍🏿 👩‍👩‍👧‍👦 👨🏻‍🚀 ❤️‍🔥 🇵🇪🇨🇱 🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f 1️⃣ ☎︎ ☎️ 🫠🫨 text😀text",
    _COMBINING,
    _SPACES,
    "".join(map(chr, range(0, 128))),
    "".join(map(chr, range(128, 384))),
    "\x00\x00\x01\x02\x03\x7f\x80\x9f\ufffd\uffff\ufffe\U0010ffff\ue000\U000f0000",
    "\u202eright to left\u202c \u2066isolate\u2069 soft\u00adhyphen zero\u200bwidth\u200cnon\u200djoiner \u2060",
    "math: ∑∫√≈≠≤≥ ∀x∈ℝ ∃y: x²+y²=z² α→β ⇒ ¬γ ∧ δ; 𝒜𝔅ℂ 𝟏𝟐𝟑 ⅓",
    "quotes “double” ‘single’ «guillemets» „low“ — dash – en … ellipsis • bullet § ¶ † ‡ © ® ™ € £ ¥ ₹",
    "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n<|endoftext|>",
    "<|im_end|><|im_end|> <|im_end|>x<|im_end <|im_|im_end|>|> <s></s><unk><0x0A><|user|> hi <|end|>",
    "<tool>call</tool> <tool>> <tool>>> < tool> <<tool>> x<tool>y",
    "abc abc  abcabc   abc    abc     .\n\n\n\n\n\nabc 11 1 21",
    "unmergeable unmergeable Zyx Zyx !?! !?! Zyxx",
    "\u2581literal \u2581\u2581 lower one eighth block\u2581",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "=" * 100 + "\n" + "-" * 99 + "\n" + "\n" * 50 + "\t" * 33 + "." * 21,
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis Donaudampfschifffahrtsgesellschaft",
    "https://example.org/path?q=a%20b&c=d#frag user.name+tag@example.org C:\\Windows\\System32 /usr/bin/env",
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n- [x] done\n- [ ] open\n\n> quote\n\n```python\nprint('hi')\n```\n",
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna "
    "aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo consequat.",
    " " * 10000,
    " " * 5000 + "x" + " " * 1000 + "\n" + " " * 37 + "y ",
]
