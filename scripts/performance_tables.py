#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the targets of a run of tenon-bench as the tables of docs/PERFORMANCE.md.

    build/bench/tenon-bench --quick --json FILE
    scripts/performance_tables.py FILE
"""

import json
import sys


def number(value):
    return '0' if value == 0 else f'{value:,.0f}' if abs(value) >= 1000 else f'{value:.3g}'


# Of the figures: how they are shown, and by what they are multiplied for that.
UNITS = {'ns': ('µs', 1e-3), 'messages/s': ('million messages/s', 1e-6),
         'pairs/s': ('million pairs/s', 1e-6), 'bytes': ('KiB', 1 / 1024),
         'switches/s': ('switches/s', 1), 'ratio': ('×', 1), 'share': ('%', 100)}


def with_unit(target, value):
    shown, scale = UNITS[target['unit']]
    return f'{number(value * scale)} {shown}'


def row(target):
    sign = '≤' if target['bound'] == 'at most' else '≥'
    rival = target.get('rival') or '–'
    return (f'| {target["what"]} | {rival} | {sign} {with_unit(target, target["target"])} '
            f'| {with_unit(target, target["result"])} '
            f'| {with_unit(target, target["low"])} – {with_unit(target, target["high"])} |')


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding='utf-8') as stream:
        targets = json.load(stream)['targets']
    remarks = [target for target in targets if target.get('remark')]
    targets = [target for target in targets if target not in remarks]
    judged = [target for target in targets if target.get('result') is not None]
    blocked = [target for target in judged if target['what'].startswith('blocked ')]
    for title, met in (('Missed', False), ('Met', True)):
        rows = [target for target in judged
                if target['met'] is met and not (met and target in blocked)]
        print(f'{title} ({len(rows)}):\n\n| what | against | target | result | low – high |\n|---|---|---|---|---|')
        print('\n'.join(row(target) for target in rows), end='\n\n')
    print(f'Of {len(blocked)} targets of processes that are blocked, '
          f'{sum(target["met"] for target in blocked)} are met; '
          f'{len(targets) - len(judged)} targets have no result here.')
    seen = [target for target in remarks if target.get('result') is not None]
    if seen:
        print(f'\nBeside rivals, without a target ({sum(target["met"] for target in seen)} of {len(seen)} '
              'faster):\n\n| what | against | better | result | low – high |\n|---|---|---|---|---|')
        print('\n'.join(row(target) for target in seen))


if __name__ == '__main__':
    main()
