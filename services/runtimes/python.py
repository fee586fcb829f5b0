# Runs scripts in an unmodified CPython, which gets this text with `-c`.
#
# A script comes in an envelope, which is the first line of standard input:
#
#     {"name":"hello.py","args":["a","b"],"env":{"K":"v"},"source":"print('hello')"}
#
# The rest of standard input is the script's. Sessions are forked where standard input is read for the first time, so
# all that is the same for every script comes before. What scripts import often can be added here.
import atexit, datetime, gc, json, linecache, math, os, random, re, string, sys, time, traceback


def fail(message):
    print(message, file=sys.stderr)
    sys.exit(2)


def receive():
    line = sys.stdin.buffer.readline()
    if not line:
        fail("no script came on standard input")
    try:
        envelope = json.loads(line)
        name, source = envelope["name"], envelope["source"]
        args, env = envelope.get("args", []), envelope.get("env", {})
        if not all(isinstance(text, str) for text in (name, source, *args, *env, *env.values())):
            raise TypeError("a text is expected")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        fail(f"the first line of standard input is not a script's envelope: {type(error).__name__}: {error}")
    return name, args, env, source


def prepare():
    # stdout is a pipe, which Python would write to in large blocks: lines of stderr would overtake it.
    sys.stdout.reconfigure(line_buffering=True)
    # Unlike the interpreter's own, this one shows lines of a script that is in no file.
    sys.excepthook = traceback.print_exception
    # Once through what every session does.
    try:
        exec(compile(json.loads('"f\'{sorted([2, 1.5])!r:>9}\'; 1 / 0"'), "warm.py", "exec"), {})
    except ZeroDivisionError:
        traceback.format_exc()
    # What is here by now is not looked through again, so sessions go on sharing it.
    gc.collect()
    gc.freeze()


def main():
    prepare()
    name, args, env, source = receive()
    # It was seeded before the fork.
    random.seed()
    sys.argv = [name, *args]
    os.environ.update(env)
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    # A module of its own, in which the script finds nothing of this text.
    module = sys.modules["__main__"] = type(sys)("__main__")
    module.__file__ = name
    module.__builtins__ = __builtins__
    code = 0
    try:
        exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
    except SystemExit as stop:
        code = stop.code
    except BaseException as error:
        code = 1
        sys.stdout.flush()
        # Without the frame of this function.
        sys.excepthook(type(error), error, error.__traceback__.tb_next)
    leave(code, module)


def leave(code, module):
    """Ends as the interpreter would, but does not take it apart: the session's memory goes with its process."""
    if code is None:
        code = 0
    elif not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    atexit._run_exitfuncs()
    # What the script has left open is closed, and so written.
    module.__dict__.clear()
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 0xFF)


main()
