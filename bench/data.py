# SPDX-License-Identifier: Apache-2.0
"""NetBuild's own data: messages inserted and paged through the service into the MongoDB server, beside a bare
libmongoc loop with the very same documents, indexes and connections; the window of an AI context over 10,000
messages in SQLite."""
import statistics
import tempfile

import common

DATABASES = ('netbuild_bench_data', 'netbuild_bench_data_bare')
WINDOW_P99_MS_MAX = 20  # what is promised


def drop(servers):
    for name in DATABASES:
        common.drop_mongodb_database(servers, name)


def messages(servers, each, pages):
    return common.run_json([common.program('netbuild_bench'), 'messages', '--uri', servers['mongodb'].rsplit('/', 1)[0],
                            '--database', DATABASES[0], '--bare-database', DATABASES[1], '--messages', str(each),
                            '--pages', str(pages)])


def windows(rounds, tokens):
    with tempfile.TemporaryDirectory(prefix='netbuild-bench-') as folder:
        return common.run_json([common.program('netbuild_bench'), 'ai-context', '--folder', folder, '--rounds', str(rounds),
                                '--tokens', str(tokens)])


def main():
    options = common.arguments('data')
    common.build('netbuild_bench')
    servers = common.stack()
    raw = {'messages': [], 'windows': []}
    for _ in range(1 if options.quick else 3):
        drop(servers)  # also what a run that was cut left
        raw['messages'].append(messages(servers, 200 if options.quick else 1_000, 100 if options.quick else 400))
        common.log(f"messages: {raw['messages'][-1]}")
    drop(servers)
    for tokens in (8_000, 128_000):
        raw['windows'].append(windows(100 if options.quick else 1_000, tokens))
        common.log(f"window: {raw['windows'][-1]}")

    def median(part, key='rate'):
        return statistics.median(one[part][key] for one in raw['messages'])

    measures = [
        common.measure('message_insert_rate', 'messages/s', 'higher', median('insert'), median('bare_insert'),
                       'bare libmongoc loop, same documents, indexes, connections'),
        common.measure('message_page_rate', 'pages of 50/s', 'higher', median('page'), median('bare_page'),
                       'bare libmongoc loop, same order, documents not decoded'),
    ]
    measures += [common.measure(f"ai_context_p99_{one['tokens'] // 1000}k_tokens", 'ms', 'lower', one['p99_ms'], WINDOW_P99_MS_MAX,
                                'what is promised, at 10,000 messages on SQLite') for one in raw['windows']]
    common.report('data', measures, raw, options)


if __name__ == '__main__':
    main()
