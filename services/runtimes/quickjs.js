// Runs scripts in an unmodified QuickJS-ng, which gets this text with `--std --eval`.
//
// A script comes in an envelope, which is the first line of standard input:
//
//     {"name":"hello.js","args":["a","b"],"env":{"K":"v"},"source":"print('hello')"}
//
// The rest of standard input is the script's. Sessions are forked where standard input is read for the first time, so
// all that is the same for every script comes before.
(() => {
    'use strict';

    const fail = (code, message) => {
        std.err.puts(message + '\n');
        std.exit(code);
    };

    const receive = () => {
        const line = std.in.getline();
        if (line === null) fail(2, 'no script came on standard input');
        try {
            const { name, args = [], env = {}, source } = JSON.parse(line);
            if (![name, source, ...args, ...Object.values(env)].every(text => typeof text === 'string')) {
                throw new TypeError('a text is expected');
            }
            return { name, args, env, source };
        } catch (error) {
            fail(2, `the first line of standard input is not a script's envelope: ${error}`);
        }
    };

    // The engine seeds its generator when it starts, which is before the fork, and nothing can seed it again. This one
    // (sfc32) is seeded in the session, from the nanosecond, as the engine does it from the microsecond.
    const generator = () => {
        const now = performance.now() * 1e6;
        let a = now | 0, b = now / 2 ** 32 | 0, c = Date.now() | 0, count = 1;
        const next = () => {
            const value = (a + b | 0) + count | 0;
            count = count + 1 | 0;
            a = b ^ b >>> 9;
            b = c + (c << 3) | 0;
            c = (c << 21 | c >>> 11) + value | 0;
            return value >>> 0;
        };
        for (let i = 0; i < 16; i++) next();
        return function random() {
            return ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
        };
    };

    // Once through what every session does.
    const evaluate = source => std.evalScript(source, { backtrace_barrier: true });
    try {
        evaluate(JSON.parse('"(() => { `${[2, 1].map(n => n / 2).sort()}`; null.x })()"'));
    } catch (error) {
        String(error.stack);
    }
    std.gc();

    const { name, args, env, source } = receive();
    Math.random = generator();
    globalThis.scriptArgs = [name, ...args];
    for (const [key, value] of Object.entries(env)) std.setenv(key, value);
    // As the engine does it, with the script's name in place of its own.
    Error.prepareStackTrace = (_, calls) => calls.map(call => {
        const file = call.getFileName() === '<evalScript>' ? name : call.getFileName();
        const place = call.isNative() ? 'native' : `${file}:${call.getLineNumber()}:${call.getColumnNumber()}`;
        const callee = call.getFunctionName();
        return callee === null ? `    at ${place}\n` : `    at ${callee} (${place})\n`;
    }).join('');
    try {
        evaluate(source);
    } catch (error) {
        fail(1, error instanceof Error ? `${error}\n${error.stack.trimEnd()}` : String(error));
    }
})();
