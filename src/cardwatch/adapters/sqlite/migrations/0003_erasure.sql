-- When an account was last erased or a challenge set aside: the phones' histories may have gaps from before then.
-- One row at most.
CREATE TABLE last_erasure (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    at_ms INTEGER NOT NULL
) STRICT;

-- What is stored of challenges that cannot be read, until their accounts are erased.
CREATE TABLE set_aside_challenges (
    challenge_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    phone TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX transactions_by_challenge ON transactions (challenge_id) WHERE challenge_id IS NOT NULL;
