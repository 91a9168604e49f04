#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the labels of memory ordering.

The comment at the head of some file has a paragraph that begins with the word ORD, the label and a
colon, and tells the race that the ordering prevents.  A comment at each end of the hand-over names
the label in parentheses, ORD(label).  Faults: a label with one end only, without a paragraph or with
two, a paragraph that nothing refers to, and a use of an accessor of src/abi/atomic.h that acquires
or releases with no label on its lines or on the three before.

    check_ordering.py [ROOT]
"""

import re

import source_tree

ATOMICS = 'src/abi/atomic.h'
ACCESSOR = re.compile(r'\btni_(?:load_acquire|store_release)\w*(?=\()')
USE = re.compile(r'\bORD\(([\w-]+)\)')
PARAGRAPH = re.compile(r'^[ \t]*(?:/\*|\*|//)?[ \t]*ORD ([\w-]+):', re.MULTILINE)
DIRECTIVE = re.compile(r'[ \t]*#(?:[^\n]*\\\n)*[^\n]*')
LINES_BEFORE = 3


def head_lines(text):
    """How many lines the head of a file has: all before its first code but preprocessor lines."""
    code = DIRECTIVE.sub(lambda match: re.sub(r'[^\n]', ' ', match.group()),
                         source_tree.code_of(text))
    first = re.search(r'\S', code)
    return source_tree.line_of(text, first.start()) - 1 if first else text.count('\n') + 1


def positions(path, pattern, comments):
    """Triples of label, path and line for each match in the comments."""
    return [(match.group(1), path, line + comment.count('\n', 0, match.start()))
            for line, comment in comments for match in pattern.finditer(comment)]


def unlabelled(path, text, labelled_lines):
    code = source_tree.code_of(text)
    faults = []
    for match in ACCESSOR.finditer(code):
        line = source_tree.line_of(code, match.start())
        end = source_tree.line_of(code, code.find(';', match.end()))
        if not labelled_lines.intersection(range(line - LINES_BEFORE, end + 1)):
            faults.append((path, line, f'{match.group()} without ORD(label)'))
    return faults


def main():
    root = source_tree.root_argument()
    paths = source_tree.c_files(root)
    uses, paragraphs, faults = [], [], []
    for path in paths:
        text = source_tree.read(root, path)
        head = head_lines(text)
        comments = source_tree.comments_of(text)
        paragraphs += positions(path, PARAGRAPH, [c for c in comments if c[0] <= head])
        here = positions(path, USE, [c for c in comments if c[0] > head])
        uses += here
        if path != ATOMICS:
            faults += unlabelled(path, text, {line for _, _, line in here})

    for label, path, line in uses:
        count = sum(1 for other in uses if other[0] == label)
        if count < 2:
            faults.append((path, line, f'ORD({label}) stands at one end only'))
        if not any(other[0] == label for other in paragraphs):
            faults.append((path, line, f'ORD({label}) has no paragraph at the head of a file'))
    for label, path, line in paragraphs:
        if sum(1 for other in paragraphs if other[0] == label) > 1:
            faults.append((path, line, f'ORD {label}: has more than one paragraph'))
        if not any(other[0] == label for other in uses):
            faults.append((path, line, f'ORD {label}: is not referred to by any code'))
    labels = len({label for label, _, _ in paragraphs})
    source_tree.report('ordering', faults, f'{len(paths)} files, {labels} labels')


main()
