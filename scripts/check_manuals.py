#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lints the manual pages, and checks that they cover the public headers: each function is named,
declared and described by one page of section 3, and man/meson.build installs that page under the
function's name.

    check_manuals.py [ROOT]
"""

import os
import re
import shutil
import subprocess
import sys

import source_tree

MESSAGE = re.compile(r'^mandoc: (.+?):(\d+):\d+: (.*)')
SECTION = re.compile(r'^\.Sh (.*)$', re.MULTILINE)
BUILD = 'man/meson.build'


def sections(text):
    """Title of a section to its text."""
    parts = SECTION.split(text)
    return dict(zip(parts[1::2], parts[2::2]))


def names(macro, text):
    """The first arguments of a macro, which are functions."""
    return set(re.findall(rf'^\.{macro} (tenon_\w+)', text, re.MULTILINE))


def links(root):
    """Function to page, as the build installs them."""
    if not os.path.exists(os.path.join(root, BUILD)):
        return {}
    text = source_tree.read(root, BUILD)
    pages = re.findall(r"'([\w.-]+\.3)': \[(.*?)\]", text, re.DOTALL)
    return {name: page for page, listed in pages for name in re.findall(r"'(\w+)'", listed)}


def page_faults(root, page, public):
    """Functions that the page names, and what is wrong with them."""
    parts = sections(source_tree.read(root, page))
    named = names('Nm', parts.get('NAME', ''))
    declared = names('F[no]', parts.get('SYNOPSIS', ''))
    described = names('Fn', parts.get('DESCRIPTION', ''))
    faults = [(page, 1, f'names {name}, which no public header declares')
              for name in (named | declared) - public.keys()]
    for name in named & public.keys():
        faults += [(page, 1, f'{where} does not have {name}')
                   for where, those in (('SYNOPSIS', declared), ('DESCRIPTION', described))
                   if name not in those]
    return named, faults


def coverage_faults(root, pages):
    """Functions without a page, or that cannot be found under their names."""
    public, linked, page_of, faults = source_tree.public_names(root), links(root), {}, []
    for page in pages:
        if page.endswith('.3'):
            named, more = page_faults(root, page, public)
            page_of.update(dict.fromkeys(named, os.path.basename(page)))
            faults += more
    for name, header in public.items():
        if name not in page_of:
            faults.append((header, 1, f'{name} has no manual page'))
        elif linked.get(name) != page_of[name]:
            faults.append((BUILD, 1, f'does not install {page_of[name]} as {name}.3'))
    faults += [(BUILD, 1, f'links {name}, which no public header declares')
               for name in linked.keys() - public.keys()]
    return faults


def lint(root, page):
    done = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', page], cwd=root,
                          capture_output=True, text=True, check=False)
    found = [MESSAGE.match(line) for line in (done.stdout + done.stderr).splitlines()]
    here = [(match[1], int(match[2]), match[3]) for match in found if match]
    if done.returncode != 0 and not here:
        here = [(page, 1, done.stdout + done.stderr)]
    return here


def main():
    root = source_tree.root_argument()
    suffixes = tuple(f'.{section}' for section in range(1, 9))
    pages = source_tree.files(root, suffixes, ('man',))
    faults = coverage_faults(root, pages)
    if shutil.which('mandoc'):
        faults += [fault for page in pages for fault in lint(root, page)]
    elif not faults:
        print('SKIP: no mandoc')
        sys.exit(77)
    if not pages:
        faults.append(('man', 1, 'holds no manual page'))
    source_tree.report('manuals', faults, f'{len(pages)} pages')


main()
