-- Modules. A content is kept while a name or an anonymous upload wants it.
CREATE TABLE contents (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    size INTEGER NOT NULL,
    imports TEXT NOT NULL,
    exports TEXT NOT NULL,
    anonymous INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE names (
    name TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- How compiling ended, by content and by engine version and CPU (the tag).
CREATE TABLE artifacts (
    digest TEXT NOT NULL,
    tag TEXT NOT NULL,
    size INTEGER NOT NULL,
    compile_ms INTEGER NOT NULL,
    why TEXT,
    PRIMARY KEY (digest, tag)
) WITHOUT ROWID;

-- Files that were registered from a folder, as they were then: an unchanged one is not read again.
CREATE TABLE sources (
    path BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    changed_ns INTEGER NOT NULL,
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    digest TEXT NOT NULL
) WITHOUT ROWID;

-- Sessions. `info` is the whole record in JSON; the other columns are what it is found by.
CREATE TABLE records (
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    module TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    labels TEXT NOT NULL,
    info TEXT NOT NULL
);
CREATE INDEX records_state ON records (state);
CREATE INDEX records_module ON records (module);
CREATE INDEX records_digest ON records (digest);
CREATE INDEX records_ended ON records (ended_at) WHERE ended_at IS NOT NULL;

-- Each label of a session twice: as `name` and as `name=value`.
CREATE TABLE labels (
    label TEXT NOT NULL,
    no INTEGER NOT NULL,
    PRIMARY KEY (label, no)
) WITHOUT ROWID;

-- What is kept of each session's log, so that no cap needs to read the blocks.
CREATE TABLE logs (
    no INTEGER PRIMARY KEY,
    bytes INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,
    dropped_lines INTEGER NOT NULL
);
CREATE INDEX logs_kept ON logs (no) WHERE bytes > 0;

-- With a rowid: bodies of 64 KiB go in nearly twice as fast as in a table that is one index (docs/performance.md).
CREATE TABLE blocks (
    no INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    first_ts INTEGER NOT NULL,
    last_ts INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (no, first_seq)
);
