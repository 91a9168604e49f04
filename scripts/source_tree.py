# SPDX-License-Identifier: Apache-2.0
"""What the check scripts share: which files there are, and what is code and what is comment."""

import os
import re
import sys

FOLDERS = ('include', 'src', 'test', 'bench', 'examples')

_TOKEN = re.compile(
    r'(?P<comment>/\*.*?\*/|//[^\n]*)'
    r'|(?P<string>"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')',
    re.DOTALL)
_PUBLIC = re.compile(r'\bTENON_PUBLIC\b(?!\s*__attribute__)(?P<text>[^;{#]*)[;{]')
_NAME = re.compile(r'\b(\w+)\s*(?:\[[^\]]*\]\s*)?(?:\(|$)')


def files(root, suffixes, folders=FOLDERS):
    """Paths below `root`, relative to it and in order, that end in one of `suffixes`."""
    found = []
    for folder in folders:
        for where, _, names in os.walk(os.path.join(root, folder)):
            here = os.path.relpath(where, root)
            found += [os.path.join(here, name) for name in names if name.endswith(suffixes)]
    return sorted(found)


def c_files(root):
    return files(root, ('.c', '.h'))


def read(root, path):
    with open(os.path.join(root, path), encoding='utf-8') as stream:
        return stream.read()


def _blank(text):
    return re.sub(r'[^\n]', ' ', text)


def code_of(text, keep_strings=False):
    """The text with comments, and strings unless they are kept, as blanks of the same shape."""
    def replace(match):
        if match.group('string') and keep_strings:
            return match.group()
        return _blank(match.group())
    return _TOKEN.sub(replace, text)


def comments_of(text):
    """Pairs of the line a comment begins at, counted from 1, and the comment."""
    return [(line_of(text, match.start()), match.group('comment'))
            for match in _TOKEN.finditer(text) if match.group('comment')]


def line_of(text, offset):
    return text.count('\n', 0, offset) + 1


def public_names(root):
    """What public headers declare TENON_PUBLIC: name to the path of the header."""
    found = {}
    for path in files(root, ('.h',), ('include',)):
        code = code_of(read(root, path))
        for match in _PUBLIC.finditer(re.sub(r'(?m)^[ \t]*#.*$', '', code)):
            text = match.group('text').replace('TENON_MUST_USE', '').strip()
            found[_NAME.search(text).group(1)] = path
    return found


def report(name, faults, looked_at):
    """Prints the faults, each `(path, line, sentence)`, and ends the program."""
    for path, line, sentence in sorted(faults):
        print(f'{path}:{line}: {sentence}')
    if faults:
        print(f'{name}: {len(faults)} faults')
        sys.exit(1)
    print(f'{name}: no fault in {looked_at}')
    sys.exit(0)


def root_argument():
    """The folder to look at: the first argument, or else the checkout this script lies in."""
    if len(sys.argv) > 1:
        return sys.argv[1]
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
