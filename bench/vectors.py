# SPDX-License-Identifier: Apache-2.0
"""Vectors: the nearest 10 of 100,000 clustered vectors of 384 dimensions on one core, beside plain
hnswlib with the same parameters. `./dev bench vectors`, and part of `./dev bench data`."""
import os
import tempfile

import common

COUNT = 100_000


def measures(quick=False):
    """(measures, raw) for common.report()."""
    count = COUNT // 10 if quick else COUNT
    common.build('netbuild_vectors_bench', 'netbuild_hnswlib_peer')
    core = ['taskset', '-c', str(max(os.sched_getaffinity(0)))]
    with tempfile.TemporaryDirectory(prefix='netbuild-bench-') as folder:
        truth = os.path.join(folder, 'truth')
        ours = common.run_json([*core, common.program('netbuild_vectors_bench'), 'vectors', '--count', str(count),
                                '--truth', truth])
        peer = common.run_json([*core, common.program('netbuild_hnswlib_peer'), str(count), truth])
    name = 'plain hnswlib 0.6, -march=native'
    return [
        common.measure('vectors_search_rate', 'queries/s', 'higher', ours['rate'], peer['rate'], name),
        common.measure('vectors_recall_at_10', 'share', 'higher', ours['recall'], peer['recall'], name),
        common.measure('vectors_build_s', 's', 'lower', ours['build_s'], peer['build_s'], name),
    ], {'count': count, 'ours': ours, 'peer': peer}


def main():
    options = common.arguments('vectors')
    found, raw = measures(options.quick)
    common.report('vectors', found, raw, options)


if __name__ == '__main__':
    main()
