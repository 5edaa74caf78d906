-- Payments, in order of arrival. `challenge_id` and `label_id` are the current ones.
CREATE TABLE transactions (
    sequence INTEGER PRIMARY KEY,
    transaction_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    status TEXT NOT NULL,
    challenge_id TEXT REFERENCES challenges,
    label_id INTEGER REFERENCES labels,
    body BLOB NOT NULL,
    decision BLOB
) STRICT;

-- Index entries end with the row's sequence, which is what listings are ordered by.
CREATE INDEX transactions_by_account ON transactions (user_id);
-- Most payments are approved and stay out of it; they are listed by walking the table.
CREATE INDEX transactions_by_status ON transactions (status) WHERE status <> 'approved';

CREATE TABLE challenges (
    challenge_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    phone TEXT NOT NULL,
    state TEXT NOT NULL,
    asked_at_ms INTEGER,
    expires_at_ms INTEGER NOT NULL,
    version INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX challenges_open_by_phone ON challenges (phone) WHERE state IN ('queued', 'asked');
CREATE INDEX challenges_open_by_expiry ON challenges (expires_at_ms) WHERE state IN ('queued', 'asked');
CREATE INDEX challenges_by_account ON challenges (user_id);
CREATE INDEX challenges_asked ON challenges (phone, asked_at_ms) WHERE asked_at_ms IS NOT NULL;

CREATE TABLE labels (
    label_id INTEGER PRIMARY KEY,
    sequence INTEGER NOT NULL REFERENCES transactions,
    source TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE INDEX labels_by_transaction ON labels (sequence);

-- Texts; `due_at_ms` is null once no worker has to act on them.
CREATE TABLE messages (
    message_id TEXT PRIMARY KEY,
    phone TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    due_at_ms INTEGER,
    transaction_id TEXT,
    challenge_id TEXT,
    version INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX messages_by_phone ON messages (phone, created_at_ms);
CREATE INDEX messages_due ON messages (due_at_ms, created_at_ms) WHERE due_at_ms IS NOT NULL;
CREATE INDEX messages_by_transaction ON messages (transaction_id) WHERE transaction_id IS NOT NULL;
CREATE INDEX messages_by_challenge ON messages (challenge_id) WHERE challenge_id IS NOT NULL;

CREATE TABLE accounts (
    user_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE entity_states (
    entity TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    blob BLOB NOT NULL,
    PRIMARY KEY (entity, key)
) STRICT, WITHOUT ROWID;

-- Positions are never given twice, even after the newest entries were trimmed.
CREATE TABLE change_log (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

CREATE TABLE cursors (
    consumer TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
    dead_letter_id INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer TEXT NOT NULL,
    key TEXT NOT NULL,
    cause TEXT NOT NULL,
    payload TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
