"""Small templates for tests/text/data/jinja_snippets.json: each construct of the language, alone and in company.

EXPRESSIONS stand between {{ and }}; SNIPPETS are whole templates. What they see is in VARIABLES.
"""

VARIABLES = {
    "empty": "",
    "word": "puna",
    "text": "Hello, World! Hello again.",
    "spaces": "  \t padded text \n ",
    "lines": "one\ntwo\n\nthree\r\nfour",
    "mixed": "ÄÖÜ straße ﬁ Σίσυφος ΟΔΟΣ, ǆ 中文 🦙 é",
    "quotes": "it's \"quoted\" \\ back\tslash\x07",
    "html": "<a href=\"x\">&'</a>",
    "numbers": [3, 1, 2, 10, -4],
    "floats": [1.5, 0.1, 1e16, 1e-5, 123456789.125, 1e22, 5e-324, 100.0, -0.0],
    "words": ["banana", "Apple", "cherry", "apple", "date"],
    "nested": [[1, 2], [3, [4, 5]], []],
    "nothing": None,
    "yes": True,
    "no": False,
    "zero": 0,
    "big": 18446744073709551615,
    "negative": -7,
    "half": 2.5,
    "user": {"name": "Ada", "age": 36, "tags": ["x", "y"], "address": {"city": "Quito", "zip": None}},
    "people": [
        {"name": "Ada", "age": 36, "city": "London", "admin": True},
        {"name": "Bob", "age": 25, "city": "paris", "admin": False},
        {"name": "Cy", "age": 36, "city": "Paris", "admin": True},
        {"name": "Di", "city": "london"},
    ],
    "odd_keys": {"items": "own items", "keys": 1, "get": 2, "a b": 3, "update": 4},
    "schema": {
        "type": "object",
        "properties": {"a": {"type": "string", "enum": ["x", "y"]}, "b": {"type": "array", "items": {"type": "number"}}},
        "required": ["a"],
    },
    "html_json": {"k": "<b>&'\"</b>", "u": "é🦙\u2028\x7f", "n": [1, 2.0, 1e100, True, None], "e": {}, "l": []},
}

EXPRESSIONS = r"""
1 + 2 * 3
(1 + 2) * 3
7 / 2
8 / 2
7 // 2
-7 // 2
7 // -2
7 % 3
-7 % 3
7 % -3
-7.5 % 2
7.5 // -2
2 ** 10
2 ** -1
2 ** 3 ** 2
-2 ** 2
1.5 + 1
0.1 + 0.2
1e3
1_000 + 0x10 + 0b11 + 0o17
1e16
1.0
2.50
10 ** 20
10 ** 30
big + 1
big
-big
1 / 3
True + 1
true and false
true or false
not true
not not ''
not none
1 and 2
0 or 'x'
'' or none
none or ''
1 < 2
1 < 2 < 3
1 < 3 < 2
3 > 2 >= 2
1 == 1.0
1 == true
'1' == 1
1 != 2
'a' < 'b'
'a' < 'B'
'é' > 'z'
[1, 2] < [1, 3]
[1] < [1, 0]
(1, 2) == (1, 2)
[1, 2] == (1, 2)
{'a': 1} == {'a': 1.0}
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
none == none
none == false
undefined_name == other_undefined
undefined_name == ''
9007199254740993 == 9007199254740992.0
9007199254740993 > 9007199254740992.0
big == 1.8446744073709552e19
'a' in 'abc'
'' in 'abc'
'd' not in 'abc'
1 in [1, 2]
1.0 in numbers
'name' in user
'nope' in user
none in [none]
'x' in undefined_name
2 in range(3)
'a' in {'a': 1}.keys()
1 in {'a': 1}.values()
('a', 1) in {'a': 1}.items()
'a' in 'abc' == true
'a' ~ 1 ~ 2.0 ~ none ~ true ~ undefined_name
1 ~ 2
'a' 'b' "c"
'a' + 'b'
'ab' * 3
3 * 'ab'
'ab' * -1
[1] * 3
(1, 2) * 2
[1] + [2, 3]
(1,) + (2,)
[]
()
(1,)
(1, 2, 3)
1, 2
[1, [2, [3]]]
{}
{'a': 1, 'b': [1, 2], 3: 'c', none: 4, true: 5}
{'a': 1, 'a': 2}
{1: 'a', 1.0: 'b', true: 'c'}
[1, 2,]
{'a': 1,}
'a' if true else 'b'
'a' if false else 'b'
'a' if false
'a' if '' else 'b' if 0 else 'c'
('a' if no) is defined
-5|abs
-(5)|abs
+3
- 3
not 1 == 2
word[0]
word[-1]
word[10]
word[1:3]
word[:2]
word[2:]
word[-2:]
word[::-1]
word[::2]
word[3:0:-1]
word[5:10]
word[:-1]
word[-100:100]
mixed[0]
mixed[-1]
mixed[3:9]
mixed[::-1]
mixed[-4:]
mixed|length
numbers[0]
numbers[-1]
numbers[99]
numbers[1:]
numbers[:-1]
numbers[::2]
numbers[::-1]
numbers[-1:0:-2]
numbers[10:0:-1]
range(10)[2:8:3]
range(5)[1]
range(5)[::-1]
(1, 2, 3)[1:]
nested[1][1][0]
nested.1.1.0
{(1, 2): 'pair'}[1, 2]
{(1, 2): 'pair'}[(1, 2)]
user['a', 'b'] is defined
user.name
user['name']
user.address.city
user['address']['zip']
user.missing
user['missing']
user.missing is defined
user.address.missing is undefined
user[none] is defined
user.get('name')
user.get('missing')
user.get('missing', 'fallback')
user.get('address').get('city', 'x')
user.items()|list
user.keys()|list
user.values()|list
user.items()
user.keys()
user.copy() == user
odd_keys['items']
odd_keys.items()|list
odd_keys['a b']
odd_keys.keys()|length
odd_keys['update']
numbers.append is defined
user.update is defined
word.__class__ is defined
user.keys()[0] is defined
words.index('cherry')
words.count('apple')
(1, 2, 1).count(1)
range(3)
range(1, 10, 3)
range(5, 0, -2)|list
range(0)|list
range(3)|length
dict(a=1, b=2)
dict({'a': 1}, b=2)
dict([('a', 1), ['b', 2]])
dict()
namespace(a=1).a
namespace({'a': 1, 'b': 2}, b=3).b
namespace(a=1)['a']
namespace(a=1).missing is defined
text.upper()
text.lower()
text.title()
word.capitalize()
'HELLO wORLD'.capitalize()
"they're bill's 3rd x-ray".title()
"they're bill's 3rd x-ray"|title
'(foo) [bar] {baz} <qux> -quux'|title
mixed.upper()
mixed.lower()
mixed.title()
mixed|title
mixed|capitalize
'ΑΣ ΑΣΑ Σ ΑΣ.Α ΑΣ.'|lower
'ﬃ ŉ ǰ'|upper
'ǆungla'.title()
'İI'.lower()
spaces.strip()
spaces.lstrip()
spaces.rstrip()
'xxhixx'.strip('x')
'xyhiyx'.strip('xy')
'xxhixx'.lstrip('x')
'xxhixx'.rstrip('x')
'éàhià'.strip('àé')
'\u00a0\u2003x\u3000\x1f'.strip()
text.split()
text.split(' ')
text.split('Hello')
text.split(', ', 1)
text.split(maxsplit=2)
text.rsplit(' ', 1)
text.rsplit(maxsplit=1)
spaces.split()
'  a  b  c '.split(none, 1)
'  a  b  c '.rsplit(none, 1)
'a,b,,c'.split(',')
'aXXbXXc'.rsplit('XX', 1)
'aaaa'.rsplit('aa')
'aaaa'.split('aa')
''.split()
''.split(',')
'abc'.split('')
lines.splitlines()
lines.splitlines(true)
'a\x0bb\x0cc\x1cd\u2028e\x85f'.splitlines()
'a\n'.splitlines()
text.partition(', ')
text.partition('zzz')
text.rpartition('Hello')
text.rpartition('zzz')
text.startswith('Hello')
text.startswith('World', 7)
text.startswith(('x', 'He'))
text.startswith('')
text.endswith('.')
text.endswith(('!', 'again.'))
text.endswith('World', 0, 12)
text.find('World')
text.find('zzz')
text.find('Hello', 1)
text.rfind('Hello')
text.index('W')
mixed.find('中')
text.count('Hello')
'aaaa'.count('aa')
'abc'.count('')
text.replace('Hello', 'Bye')
text.replace('Hello', 'Bye', 1)
text.replace('', '-')
text.replace('l', '')
'abc'.replace('', '-', 2)
text|replace('Hello', 'Bye')
text|replace('Hello', 'Bye', 1)
12321|replace(2, 'x')
'prefix-body'.removeprefix('prefix-')
'body.txt'.removesuffix('.txt')
'body'.removeprefix('x')
', '.join(words)
''.join(['a'])
'-'.join('abc')
'{} and {}'.format('a', 1)
'{1} {0} {name} {{}}'.format('a', 'b', name='c')
'{0.name} {0[age]}'.format(user)
'{!r}'.format('x')
'x'.ljust(4) ~ '|'
'x'.rjust(4, '.') ~ '|'
'x'.center(4, '*') ~ '|'
'xy'.center(5, '*') ~ '|'
'42'.zfill(5)
'-42'.zfill(5)
'abc'.isalpha()
'ab1'.isalnum()
'12'.isdigit()
'1²'.isdigit()
'1²'.isdecimal()
'½'.isnumeric()
'٣'.isdigit()
' \t'.isspace()
''.isspace()
'ABC'.isupper()
'AbC'.isupper()
'abc1'.islower()
'123'.islower()
'é'.isalpha()
'%s is %d' % ('x', 3)
'%s' % 'x'
'%s' % none
'%s' % [1]
'%5s|%-5s|' % ('ab', 'cd')
'%05d|%+d|%x|%X|%o|%#x' % (42, 5, 255, 255, 8, 255)
'%.2f|%8.3f|%e|%g|%G' % (3.14159, 2.5, 12345.678, 0.00001, 1e20)
'%(name)s is %(age)d' % user
'%%' % ()
'%r' % 'a'
'%.2s' % 'abc'
'%d' % 3.9
'%*d' % (5, 42)
'%c' is string
'%s and %s'|format('a', 'b')
'%(a)s'|format(a=1)
'abc'|upper
'ABC'|lower
5|lower
none|upper
word|length
words|length
user|length
undefined_name|length
''|length
words|count
words|first
words|last
word|first
word|last
[]|first is defined
[]|last is defined
user|first
user|last
range(3)|last
words|join
words|join(', ')
words|join(d='-')
people|join(', ', attribute='name')
'abc'|join('.')
user|join(',')
undefined_name|join(',')
[1, none, true, 2.5]|join(' ')
words|sort
words|sort(reverse=true)
words|sort(case_sensitive=true)
numbers|sort
numbers|sort(reverse=true)
people|sort(attribute='city')|map(attribute='name')|list
people[:3]|sort(attribute='age,name', reverse=true)|map(attribute='name')|list
[[2, 'b'], [1, 'z'], [2, 'a']]|sort
'banana'|sort
words|unique|list
words|unique(case_sensitive=true)|list
[1, 1.0, true, '1']|unique|list
people|unique(attribute='city')|map(attribute='name')|list
words|reverse|list
'abc'|reverse
'aé中'|reverse
user|reverse|list
numbers|min
numbers|max
words|min
words|max(case_sensitive=true)
[]|min is defined
people[:3]|max(attribute='age')
numbers|sum
people[:3]|sum(attribute='age')
[1.5, 2]|sum
[[1], [2]]|sum(start=[])
[]|sum
numbers|list
word|list
user|list
5|string
2.0|string
none|string
words|string
'a'|string
words|map('upper')|list
words|map('length')|list
words|map('replace', 'a', 'A')|list
words|map('default', 'x')|join(',')
people|map(attribute='name')|join(',')
people|map(attribute='age', default=0)|list
people|map(attribute='address.city', default='?')|list
none|map('upper')|list
numbers|select('odd')|list
numbers|select('greaterthan', 1)|list
numbers|reject('even')|list
numbers|select('in', [1, 2])|list
[0, 1, '', 'a', none]|select|list
[0, 1, '', 'a', none]|reject|list
people|selectattr('admin')|map(attribute='name')|list
people|selectattr('age', 'defined')|map(attribute='name')|list
people|selectattr('age', '==', 36)|map(attribute='name')|list
people|selectattr('city', 'equalto', 'Paris')|list|length
people|rejectattr('admin')|map(attribute='name')|list
people|rejectattr('age', 'defined')|map(attribute='name')|first
people|selectattr('city', 'in', ['Paris', 'paris'])|map(attribute='name')|join('+')
words|select('string')|list|length
(words|map('upper')) is iterable
(words|map('upper')) is sequence
(people|selectattr('nope')) and 'truthy'
people|groupby('city')|map('first')|list
people|groupby('city', case_sensitive=true)|map(attribute='grouper')|list
people|groupby('age', default=0)|map(attribute='list')|map('length')|list
people[:3]|groupby('age')|map(attribute='0')|list
user|dictsort
user|dictsort(reverse=true)|map('first')|list
{'B': 1, 'a': 2, 'C': 0}|dictsort
{'B': 1, 'a': 2, 'C': 0}|dictsort(true)
{'B': 1, 'a': 2, 'C': 0}|dictsort(false, 'value')
user|items|list
undefined_name|items|list
[1, 2, 3, 4, 5]|batch(2)|list
[1, 2, 3, 4, 5]|batch(2, 0)|list
[1, 2, 3, 4, 5]|slice(3)|list
[1, 2, 3, 4, 5]|slice(3, 'x')|list
undefined_name|default('d')
undefined_name|d('d')
''|default('d')
''|default('d', true)
none|default('d')
none|default('d', boolean=true)
0|d('x', true)
undefined_name|default
user.missing|default('m')
spaces|trim
'xxhixx'|trim('x')
5|trim
undefined_name|trim
lines|indent
lines|indent(2)
lines|indent(2, true)
lines|indent(2, blank=true)
lines|indent('> ', true, true)
''|indent
''|indent(2, true)
'a\n'|indent ~ '|'
'foo bar baz qux'|truncate(9)
'foo bar baz qux'|truncate(9, true)
'foo bar baz qux'|truncate(11)
'foo bar baz qux'|truncate(11, false, '...', 0)
'foobarbazqux'|truncate(6, leeway=0)
'x'|center(5) ~ '|'
text|wordcount
'a_b c-d 1é'|wordcount
html|e
html|escape|string
html|safe
'42'|int
'42.9'|int
'x'|int
'x'|int(7)
' 12 '|int
'1_000'|int
'0x1F'|int(base=16)
'0x1F'|int(0, 0)
'ff'|int(base=16)
'-0b11'|int(0, 2)
none|int
3.99|int
-3.99|int
true|int
'1e3'|int
'3.5'|float
'1e400'|float
'nan'|float
'x'|float
'x'|float(1.5)
none|float
3|float
'inf'|float
2.5|round
3.5|round
-2.5|round
42.55|round(1)
2.675|round(2)
42|round
42.55|round(1, 'floor')
42.55|round(1, 'ceil')
42|round(0, 'ceil')
1234567.891|round(2)
0.5|round|int
3.7|int
floats
floats|join(' ')
1e100
123456789012345678.0
0.00001
0.0001
1e15 ~ ' ' ~ 1e16 ~ ' ' ~ 1e17
-0.0
1.0e-10
3.0e8
nothing
[nothing, yes, no]
user
[word, quotes]
[mixed]
['\u200b\u00ad\u2028\ue000\x7f\x80']
["it's"]
['"']
['\'"']
[undefined_name]
{'k': undefined_name}
user|tojson
user|tojson(indent=2)
user|tojson(indent=0)
user|tojson(indent='--')
schema|tojson(indent=4)
schema|tojson(separators=(',', ':'))
user|tojson(separators=(',', ': '), sort_keys=true)
{'b': 1, 'a': [1, {}], 'c': {}}|tojson(indent=2, sort_keys=true)
html_json|tojson
html_json|tojson(ensure_ascii=true)
mixed|tojson
quotes|tojson
big|tojson
1e22|tojson
[1.0, -0.0, 1e-7]|tojson
('a', 1)|tojson
{1: 'a', none: 'b', true: 'c', 2.5: 'd'}|tojson
'</s>'|tojson
[]|tojson(indent=2)
{}|tojson(indent=2)
none|tojson
html|tojson|safe
1 is odd
2 is even
-3 is odd
9 is divisibleby 3
9 is divisibleby(2)
word is defined
undefined_name is defined
undefined_name is not defined
undefined_name is undefined
none is none
nothing is none
0 is none
yes is boolean
1 is boolean
yes is true
1 is true
no is false
1 is integer
true is integer
1.0 is integer
1.0 is float
1 is float
true is number
1.5 is number
'1' is number
word is string
1 is string
user is mapping
words is mapping
undefined_name is mapping
words is sequence
word is sequence
user is sequence
5 is sequence
none is sequence
undefined_name is sequence
range(3) is sequence
user.items() is sequence
(1, 2) is sequence
words is iterable
5 is iterable
none is iterable
word is iterable
undefined_name is iterable
user.items() is iterable
range is callable
word is callable
word.upper is callable
undefined_name is callable
namespace() is callable
word is lower
'ABC' is upper
'Abc' is upper
5 is upper
yes is sameas true
1 is sameas true
none is sameas none
word is sameas word
1 is in [1, 2]
'x' is in 'xyz'
1 is not in [1, 2]
1 is eq 1
1 is equalto(1)
1 is ne 2
1 is lt 2
1 is le 1
2 is gt 1
2 is ge 3
'upper' is filter
'nope' is filter
'odd' is test
word is string and word is lower
not word is string
word is not string
1 if word is defined else 2
word is escaped
raise_exception is defined
strftime_now is defined
strftime_now('%d %b %Y')
strftime_now('%Y-%m-%d %H:%M:%S')
strftime_now('%A, %B %d, %y %I:%M %p %j %e %-d %-m %u %w %%')
strftime_now('%D %F %T %R %C %h %a %c %x %X')
'\x41\u00e9\U0001F999\101\t\\\'\"\/\q'
'a\
b'
"tab\there"
'é\é \中 \🦙'
''
'\0' is string
user.name.upper()[::-1]|lower ~ '!'
(user.tags + ['z'])|join(',')
people[-1].name if people else 'none'
people[0]['name'][0]
[people[0].name, people[1]['name']]|join(' & ')
[1, 2, 3][1:]|first
user.tags[0] ~ user['tags'][1]
(1 if yes else 2) + 3
words|map('first')|map('upper')|join
{'a': {'b': {'c': 'deep'}}}.a.b.c
{'a': 1}['a']
[[1, 2], [3, 4]]|map('sum')|list
[{'a': 1}, {'a': 2}]|map(attribute='a')|sum
(words|sort)[0]
'%s' % ('a' ~ 'b')
words[numbers[1]]
user.age // 10 * 10
user.age > 30 and user.name == 'Ada'
'Ada' in people|map(attribute='name')|list
'Ada' in people|map(attribute='name')
not user.missing
user.missing or 'alt'
(user.missing is defined and user.missing) or 'alt'
dict(user, name='Eve').name
range(1, 4)|map('string')|join('-')
[1, 2, 3]|map('float')|list
none is not none
1 is not none
loop is defined
caller is defined
namespace is defined
numbers|sort|first
'a' < 'b' < 'c'
1 <= 1.0 <= true
[1, 'a'] == [1, 'a']
(1, [2]) == (1, [2])
{'x': [1]}['x'][0]
'{"a": 1}'
"{{ not a tag }}"
'%}' ~ '}}'
user.values()|first
[true, 1, 'a', 2.0, none]|map('string')|list
text|list|length
('a', 'b')|join
[3, 1, 2]|sort|reverse|list|first
1 in (1, 2)
'a' ~ ('b' if yes else 'c') ~ 'd'
word.upper().lower().title()
[words, numbers]|map('length')|list
'x' if 1 == 1 and 2 == 2 or 3 == 4 else 'y'
(words|length) > 3
words|length > 3
words|length + 1
user is defined and user.name is defined
(none or {}).get('x', 'y')
((1))
[(1, 2), (3, 4)]
{'a': (1,)}
[1,2,3] is iterable and [1] is not string
"a'b" ~ 'c"d'
'\n'.join(['a', 'b'])
0 == false
'' == false
[] == false
1.0 ~ ''
100000000000000000000.0
1e-4
12345678901234567890
0.1 + 0.7
3 * 0.1
1 / 7
1e308 * 10
-1e308 * 10
5 // 0.3
-5 % 0.3
True ~ False ~ None
true ~ false ~ none
""".strip("\n")

# Expressions whose error matters; "\n" splits them as above.
ERRORS = r"""
undefined_name.attribute
undefined_name['x']
undefined_name + 1
1 + undefined_name
-undefined_name
undefined_name()
undefined_name < 1
undefined_name[1:]
user.missing.more
user.missing()
numbers[99].x
none.attribute.more
'a' + 1
1 + 'a'
'a' + none
[1] + 'a'
[1] + (2,)
1 + none
none + 1
{} + {}
'a' - 'b'
'a' * 'b'
'a' * 1.5
1 / 0
1 // 0
1 % 0
1.0 / 0
0 ** -1
1 < 'a'
none < 1
{} < {}
[1] < ['a']
1 in 1
1 in none
1 in 'abc'
[] in {}
{[]: 1}
-'a'
none|length
5|length
(words|map('upper'))|length
(words|map('upper'))|last
none|join
5|list
5|first
none|items|list
-numbers|length
5|sum
words|sum
[1, 'a']|sort
[none, 1]|max
'x'|nope
1 is nope
words|map('nope')|list
words|map|list
none()
'abc'()
user()
word.nope()
user.nope()
numbers.append(1)
user.update({})
user.pop('name')
word.__class__.__mro__
namespace(_x=1)
namespace(1)
dict(1)
dict([1])
range()
range(1, 2, 0)
range(1000000)
range('a')
range(1.5)
raise_exception('Own words: ' ~ word)
raise_exception()
'abc'.index('z')
words.index('z')
'abc'.split('')
', '.join([1])
'%s %s' % 'a'
'%s' % ('a', 'b')
'%d' % 'a'
'%d' % none
'%z' % 1
'%(a)s' % 'x'
'%(zz)s' % user
'a' % 1
'{}'.format()
'{x}'.format()
'{'.format()
undefined_name|tojson
[undefined_name]|tojson
(words|map('upper'))|tojson
user.keys()|tojson
range(3)|tojson
{(1, 2): 3}|tojson
undefined_name|int
'x'|indent(none)
5|indent
'abc'|truncate(2)
[[]]|unique|list
user|dictsort(by='nope')
5|dictsort
1|round(1, 'nope')
'x'|round
'inf'|float|int
word.startswith(1)
word.startswith(none)
word.replace('a')
word.replace(1, 2)
word.upper(1)
user.get()
user.get([])
nothing[0:1]
zero[0:1]
user[0:1]
word['a':]
word[::0]
5.x.y
people|selectattr|list
[1]|select('nope')|list
people|groupby('age')
loop.index
caller()
'x' is divisibleby 2
undefined_name is divisibleby 2
undefined_name is odd
undefined_name is in 5
5 is in 5
'x'|abs
'x' * undefined_name
""".strip("\n")

SNIPPETS = [
    "",
    "plain text\n",
    "two trailing\n\n",
    "crlf\r\nand\rcr\r\n",
    "{{ '' }}\n",
    "{% if yes %}a{% elif no %}b{% else %}c{% endif %}",
    "{% if no %}a{% elif yes %}b{% else %}c{% endif %}",
    "{% if no %}a{% elif no %}b{% else %}c{% endif %}|{% if no %}x{% endif %}",
    "{% for n in numbers %}{{ n }},{% endfor %}",
    "{% for n in [] %}{{ n }}{% else %}none{% endfor %}",
    "{% for n in numbers if n > 1 %}{{ loop.index }}:{{ n }}/{{ loop.length }} {% else %}none{% endfor %}",
    "{% for n in numbers if n > 100 %}{{ n }}{% else %}none{% endfor %}",
    "{% for n in numbers %}{% if n == 2 %}{% break %}{% endif %}{{ n }} {% endfor %}",
    "{% for n in numbers %}{% if n == 2 %}{% continue %}{% endif %}{{ n }} {% endfor %}",
    "{% for n in numbers %}{% break %}{% else %}else after break{% endfor %}",
    "{% for n in numbers %}{% continue %}{% else %}else after continue{% endfor %}",
    "{% for n in numbers %}{% if n > 2 %}{% continue %}{% endif %}{% else %}E{% endfor %}",
    "{% for a in [1, 2] %}{% for b in [1, 2, 3] %}{% if b == 2 %}{% break %}{% endif %}{{ a }}{{ b }} {% endfor %}{{ loop.last }}{% endfor %}",
    "{% for n in numbers %}{{ loop.index }} {{ loop.index0 }} {{ loop.revindex }} {{ loop.revindex0 }} {{ loop.first }} {{ loop.last }} {{ loop.length }} {{ loop.previtem }} {{ loop.nextitem }} {{ loop.cycle('a', 'b') }} {{ loop.changed(n > 2) }} {{ loop.depth }} {{ loop.depth0 }}\n{% endfor %}",
    "{% for n in numbers %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for n in numbers|select('odd') %}{{ loop.index }}/{{ loop.length }}{{ loop.last }}{{ n }} {% endfor %}",
    "{% for n in numbers|map('string') %}{{ loop.revindex }}{{ n }} {% endfor %}",
    "{% for n in numbers if n is odd %}{{ loop.nextitem }}{{ loop.last }}{{ loop.revindex }} {% endfor %}",
    "{% for k, v in user.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in user %}{{ k }};{% endfor %}",
    "{% for k, v in user|items %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in user|dictsort %}{{ k }}={{ v }};{% endfor %}",
    "{% for c in mixed %}[{{ c }}]{% endfor %}",
    "{% for a, b in [[1, 2], (3, 4), 'xy'] %}{{ a }}-{{ b }} {% endfor %}",
    "{% for a, (b, c) in [[1, [2, 3]]] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for x in undefined_name %}x{% else %}empty{% endfor %}",
    "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}",
    "{% for x in range(3) %}{{ x }}{{ ',' if not loop.last }}{% endfor %}",
    "{% for x in words %}{{ loop.index0 }}{% endfor %}",
    "{% for g, members in people|groupby('city') %}{{ g }}: {{ members|map(attribute='name')|join(',') }};{% endfor %}",
    "{% for g in people|groupby('city') %}{{ g.grouper }}{{ g.list|length }}{{ g[0] }} {% endfor %}",
    "{% for item in nested recursive %}{% if item is iterable %}[{{ loop(item) }}]{% else %}{{ item }}@{{ loop.depth }} {% endif %}{% endfor %}",
    "{% for item in [{'v': 1, 'c': [{'v': 2}, {'v': 3, 'c': [{'v': 4}]}]}] recursive %}<{{ item.v }}{% if item.c %}{{ loop(item.c) }}{% endif %}>{% endfor %}",
    "{% set x = 1 %}{{ x }}{% set x = x + 1 %}{{ x }}",
    "{% set x = 1 %}{% for i in range(3) %}{{ x }}{% set x = x + 10 %}{{ x }} {% endfor %}{{ x }}",
    "{% set x = 1 %}{% if yes %}{% set x = 2 %}{% set y = 3 %}{% endif %}{{ x }}{{ y }}",
    "{% set ns = namespace(x=1, found=false) %}{% for i in range(3) %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns.found }}",
    "{% set ns = namespace() %}{% set ns.a = [] %}{% for i in range(3) %}{% set ns.a = ns.a + [i] %}{% endfor %}{{ ns.a }}",
    "{% set ns = namespace(done=false) %}{% for n in numbers if not ns.done %}{{ n }}{% if n == 1 %}{% set ns.done = true %}{% endif %}{% endfor %}",
    "{% set ns = namespace(n=0) %}{% for n in numbers if ns.n < 3 %}{% set ns.n = ns.n + 1 %}{{ n }}{{ loop.last }} {% endfor %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set a, b = b, a %}{{ a is defined }}",
    "{% set (a, b) = [1, 2] %}{{ a ~ b }}",
    "{% set ns = namespace() %}{% set ns.a, b = 'xy' %}{{ ns.a }}{{ b }}",
    "{% set t = 1, 2 %}{{ t }}",
    "{% set block %}a{{ word }}b{% endset %}{{ block }}{{ block|length }}",
    "{% set block | upper | replace('A', '*') %}a{{ word }}b{% endset %}{{ block }}",
    "{% set block %}{% set inner = 1 %}{% endset %}{{ inner is defined }}",
    "{% set ns = namespace() %}{% set ns.text %}body{% endset %}{{ ns.text }}",
    "{% set x %}{% for i in range(3) %}{{ i }}{% endfor %}{% endset %}{{ x }}",
    "{% filter upper %}text {{ word }}{% endfilter %}",
    "{% filter replace('u', 'o') | upper %}{{ word }}{% endfilter %}",
    "{% filter indent(2) %}a\nb{% endfilter %}",
    "{% macro m() %}body{% endmacro %}{{ m() }}{{ m() }}",
    "{% macro m(a, b='B', c=a ~ b) %}{{ a }}|{{ b }}|{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(1, c=3) }}{{ m(b=5, a=4) }}",
    "{% macro m(a) %}{{ a is defined }}{{ a }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}",
    "{% macro m(a) %}{{ a }}{{ varargs|length }}{% endmacro %}{{ m(1, 2, 3) }}",
    "{% macro m(n) %}{{ n }}{% if n > 0 %},{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(4) }}",
    "{% macro m() %}{{ later }}{% endmacro %}{% set later = 'set later' %}{{ m() }}",
    "{% macro m() %}{% set word = 'inner' %}{{ word }}{% endmacro %}{{ m() }}{{ word }}",
    "{% for i in range(2) %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% macro m() %}{{ loop is defined }}{% endmacro %}{% for i in [1] %}{{ m() }}{% endfor %}",
    "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}body {{ word }}{% endcall %}",
    "{% macro m(items) %}{% for i in items %}<{{ caller(i, loop.index) }}>{% endfor %}{% endmacro %}{% call(i, n) m(numbers) %}{{ n }}:{{ i }}{% endcall %}",
    "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}",
    "{% macro outer() %}[{{ caller() }}]{% endmacro %}{% macro inner() %}({{ caller() }}){% endmacro %}{% call outer() %}{% call inner() %}x{% endcall %}{% endcall %}",
    "{% for i in range(2) %}{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ loop.index }}{{ i }}{% endcall %}{% endfor %}",
    "{% macro m(x) %}{{ x|upper }}{% endmacro %}{{ m('a') ~ m('b') }}{{ m('c')|length }}",
    "{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'a': 3, 'b': 4}) }}{{ m(5, **{'b': 6}) }}",
    "{% macro m() %}x{% endmacro %}{{ m.name }}{{ m is callable }}",
    "{% with a = 1, b = word %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}",
    "{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}",
    "{% generation %}reply {{ word }}{% endgeneration %}",
    "{% for i in [1, 2] %}{% generation %}{{ i }}{{ loop.last }}{% set z = 1 %}{% endgeneration %}{{ z is defined }}{% endfor %}",
    "a\n{% generation %}\nb\n{% endgeneration %}\nc",
    "{% raw %}{{ not }} {% evaluated %}{% endraw %}",
    "a\n  {% raw %}\n  {{ x }}\n  {% endraw %}\nb",
    "a {%- raw -%}  {{ x }}  {%- endraw -%}  b",
    "a{# comment #}b",
    "a\n  {# comment #}\nb",
    "a {#- comment -#} b",
    "a\n{# multi\nline #}\nb",
    "a{#+ x +#}\nb",
    "{#-#}x",
    "  {% if yes %}\n  a\n  {% endif %}\n  b\n",
    "a\n    {% if yes %}\n    b\n    {% endif %}\n    c",
    "a\n    {%- if yes %}\n    b\n    {%- endif %}\n    c",
    "a\n    {%- if yes -%}\n    b\n    {%- endif -%}\n    c",
    "a\n    {%+ if yes +%}\n    b\n    {%+ endif +%}\n    c",
    "a\n  {{ word }}\n  b",
    "a\n  {{- word -}}\n  b",
    "a  {{- word }}  b",
    "a  {{ word -}}  b",
    "{% if yes %}\n\n\nx{% endif %}",
    "{% if yes -%}\n\n\n x{% endif %}",
    "x {% if yes %} y {% endif %} z",
    "\t{% if yes %}\tx{% endif %}\n",
    "\u00a0{% if yes %}x{% endif %}",
    "x\u00a0{%- if yes %}x{% endif %}",
    "{{ word }}\n{{ word }}\n",
    "{{ word }}{% if yes %}\n{% endif %}\n",
    "{%if yes%}a{%endif%}{{word}}{%-if yes-%} b {%-endif-%} c",
    "{% if yes: %}colon{% endif %}",
    "{% for x in [1]: %}{{ x }}{% endfor %}",
    "{{ {'a': {'b': 1}}['a']['b'] }}",
    "{{ {'a': {}} }}",
    "{{ '}}' }}{{ '%}' }}{{ '{{' }}",
    "{{\n  word\n  ~\n  '!'\n}}",
    "{% set x = [\n  1,\n  2,\n] %}{{ x }}",
    "{% print word, 1 %}",
    "{ {{ word }} } {x} {",
    "{{ word }}{",
    "{ % if %}",
    "{% if yes and no or yes %}a{% endif %}{% if not no %}b{% endif %}{% if 1, 2 %}c{% endif %}",
    "{% if word == 'puna' and 'u' in word %}in{% endif %}",
    "{% if undefined_name %}a{% else %}b{% endif %}{% if undefined_name is defined and undefined_name.x %}c{% endif %}",
    "{% set range = 5 %}{{ range }}",
    "{% set word = word ~ '2' %}{{ word }}",
    "{% if no %}{% set word = 'never' %}{% endif %}{{ word }}",
    "{% set messages = people[1:] %}{{ messages|length }}{{ messages[0].name }}",
    "{% set g = words|map('upper') %}{{ g|join(',') }}|{{ g|join(',') }}",
    "{% set g = words|map('upper') %}{{ g|first }}|{{ g|list }}",
    "{% set g = words|select('string') %}{% for x in g %}{{ x }}{% break %}{% endfor %}{{ g|list|length }}",
    "{{ words|map('upper')|map('lower')|map('title')|list }}",
    "{% set d = {'a': [1, 2]} %}{% for k, v in d.items() %}{% for x in v %}{{ k }}{{ x }}{% endfor %}{% endfor %}",
    "{% for p in people %}{{ p.name }}{% if p.age is defined %}({{ p.age }}){% endif %}{{ ', ' if not loop.last else '.' }}{% endfor %}",
    "{% for p in people|selectattr('admin', 'true')|sort(attribute='name', reverse=true) %}{{ p.name }}{% endfor %}",
    "{% set ns = namespace(i=0) %}{% for p in people[::-1] %}{% set index = (people|length - 1) - loop.index0 %}{% if p.admin and not ns.i %}{% set ns.i = index %}{% endif %}{% endfor %}{{ ns.i }}",
    "{% macro show(v, d=0) %}{% if v is mapping %}{% for k, x in v|dictsort %}{{ ' ' * d }}{{ k }}:\n{{ show(x, d + 1) }}{% endfor %}{% elif v is iterable and v is not string %}{% for x in v %}{{ show(x, d) }}{% endfor %}{% else %}{{ ' ' * d }}{{ v }}\n{% endif %}{% endmacro %}{{ show(schema) }}",
    "{{ caller }}",
    "{{ loop }}",
    "{{ x.y if x is defined else 'no x' }}",
]

# Templates that fail, with why: "syntax" (nothing can be rendered) or "runtime".
BROKEN = [
    ("{% if yes %}", "syntax"),
    ("{% endif %}", "syntax"),
    ("{% for %}{% endfor %}", "syntax"),
    ("{% for x %}{% endfor %}", "syntax"),
    ("{{ }}", "syntax"),
    ("{{ 1 + }}", "syntax"),
    ("{{ (1 }}", "syntax"),
    ("{{ 1) }}", "syntax"),
    ("{{ [1, }}", "syntax"),
    ("{{ 'abc }}", "syntax"),
    ("{{ 1 2 }}", "syntax"),
    ("{{ word", "syntax"),
    ("{% if yes", "syntax"),
    ("{# open", "syntax"),
    ("{% raw %}x", "syntax"),
    ("{% nonsense %}", "syntax"),
    ("{% set 1 = 2 %}", "syntax"),
    ("{% set true = 2 %}", "syntax"),
    ("{% set x.y.z = 2 %}", "syntax"),
    ("{% break %}", "syntax"),
    ("{% for x in y %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}", "syntax"),
    ("{% macro m(a=1, b) %}{% endmacro %}", "syntax"),
    ("{{ f(a=1, 2) }}", "syntax"),
    ("{{ a is b is c }}", "syntax"),
    ("{{ a | }}", "syntax"),
    ("{{ a. }}", "syntax"),
    ("{{ $ }}", "syntax"),
    ("{{ a ! b }}", "syntax"),
    ("{{ '\\x4' }}", "syntax"),
    ("{% else %}", "syntax"),
    ("{% call word %}{% endcall %}", "syntax"),
    ("{% if yes %}{% for x in y %}{% endif %}{% endfor %}", "syntax"),
    ("{{ {'a' 1} }}", "syntax"),
    ("{{ a[1:2:3:4] }}", "syntax"),
    ("{% set ns = 1 %}{% set ns.x = 2 %}", "runtime"),
    ("{% set undefined_name.x = 2 %}", "runtime"),
    ("{% set user.x = 2 %}", "runtime"),
    ("{% for a, b in [1] %}{% endfor %}", "runtime"),
    ("{% for a, b in [[1]] %}{% endfor %}", "runtime"),
    ("{% for a, b in [[1, 2, 3]] %}{% endfor %}", "runtime"),
    ("{% for x in 5 %}{% endfor %}", "runtime"),
    ("{% for x in none %}{% endfor %}", "runtime"),
    ("{% macro m() %}{% endmacro %}{{ m(1) }}", "runtime"),
    ("{% macro m() %}{% endmacro %}{{ m(x=1) }}", "runtime"),
    ("{% macro m() %}{% endmacro %}{% call m() %}{% endcall %}", "runtime"),
    ("{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "runtime"),
    ("{% for x in [1] %}{{ loop([1]) }}{% endfor %}", "runtime"),
    ("{% for x in [1] %}{{ loop.cycle() }}{% endfor %}", "runtime"),
    ("{% set ns = namespace() %}{% set ns._x = 1 %}", "runtime"),
    ("line 1\nline 2\n{% if yes %}\n{{ undefined_name.x }}\n{% endif %}", "runtime"),
    ("{{ raise_exception('multi\nline') }}", "runtime"),
    ("{% macro m() %}\n\n{{ none + 1 }}{% endmacro %}\n\n{{ m() }}", "runtime"),
]
