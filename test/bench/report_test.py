#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page that is made of the benchmark's figures has a plot of each kind, and the figures.

    report_test.py TENON_BENCH SCRIPT
"""

import json
import os
import re
import subprocess
import sys
import tempfile

BENCH, SCRIPT = sys.argv[1:]
ROWS = ('rt-64-[as]*/[pf]*', 'one-way-64-1to1/pipe', 'one-way-1k-1to1/pipe', 'scale-4to1/pipe', 'growth-messages/fifo-1*')


def measure(path):
    """Figures of some rows of each group that is plotted; those of several runs in one file."""
    all_data = None
    for row in ROWS:
        subprocess.run([BENCH, '--seconds', '0.02', '--repeat', '1', '--row', row, '--json', path], check=False,
                       stdout=subprocess.DEVNULL, timeout=120)
        with open(path, encoding='utf-8') as file:
            data = json.load(file)
        if all_data is None:
            all_data = data
        else:
            all_data['groups'] += data['groups']
            all_data['targets'] += data['targets']
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(all_data, file)
    return all_data


def faults(data, text):
    if '<html' not in text or '</html>' not in text or re.search(r'(src|href)="?https?:', text):
        yield 'it is no page of its own'
    for heading in ('How long a round trip takes', 'Throughput over the size', 'Throughput over the number', 'What is there already'):
        part = text.partition(f'<h2>{heading}')[2].partition('<h2>')[0]
        if '<svg' not in part or '</svg>' not in part:
            yield f'no plot: {heading}'
    if 'at most 20 µs' not in text:
        yield 'a target without its unit'
    for group in data['groups']:
        for row in group['rows']:
            if f'<td class="">{row["row"]}</td>' not in text:
                yield f'{group["group"]}/{row["row"]} is missing'


def main():
    print('1..2')
    with tempfile.TemporaryDirectory(prefix='tenon-test-report.') as folder:
        figures, page = os.path.join(folder, 'figures.json'), os.path.join(folder, 'page.html')
        data = measure(figures)
        # A row that failed is no reason to leave the page untested.
        if all('skipped' in row for group in data['groups'] for row in group['rows']):
            print('ok - page # SKIP nothing could be measured here\nok - bad figures # SKIP nothing could be measured here')
            return 0
        done = subprocess.run([SCRIPT, figures, page], check=False, capture_output=True, text=True, timeout=120)
        if 'Matplotlib is not there' in done.stderr:
            print('ok - page # SKIP python3-matplotlib is not there\nok - bad figures # SKIP python3-matplotlib is not there')
            return 0
        found = [done.stderr] if done.returncode else []
        if not found:
            with open(page, encoding='utf-8') as file:
                found = list(faults(data, file.read()))
        print('\n'.join(f'# {line}' for line in found) + ('\nnot ok - page' if found else 'ok - page'))
        bad = False
        for text in ('{"groups": [', 'null', '[]', json.dumps({**data, 'groups': None}), json.dumps({**data, 'targets': [1]}), 20000 * '['):
            with open(figures, 'w', encoding='utf-8') as file:
                file.write(text)
            done = subprocess.run([SCRIPT, figures, page], check=False, capture_output=True, text=True, timeout=120)
            bad = bad or done.returncode == 0 or 'Traceback' in done.stderr or figures not in done.stderr
        print('not ok - bad figures' if bad else 'ok - bad figures')
        return bool(found or bad)


if __name__ == '__main__':
    sys.exit(main())
