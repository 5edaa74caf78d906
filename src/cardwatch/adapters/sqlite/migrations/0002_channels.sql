-- Messages go out by several channels: to an address of the channel, each channel in a line of its own.
ALTER TABLE messages RENAME COLUMN phone TO address;
ALTER TABLE messages ADD COLUMN channel TEXT NOT NULL DEFAULT 'sms';

-- Rows that are no JSON stay as they are: what reads one says so, and sets it aside.
UPDATE messages SET body = CAST(json_remove(
    json_set(CAST(body AS TEXT),
        '$.address', json_extract(CAST(body AS TEXT), '$.phone'),
        '$.own_address', json_extract(CAST(body AS TEXT), '$.own_number')),
    '$.phone', '$.own_number') AS BLOB)
WHERE json_valid(CAST(body AS TEXT));

DROP INDEX messages_by_phone;
CREATE INDEX messages_by_address ON messages (address, created_at_ms);
DROP INDEX messages_due;
CREATE INDEX messages_due ON messages (channel, due_at_ms, created_at_ms) WHERE due_at_ms IS NOT NULL;

-- Questions that stand and are due for a reminder or for the next channel.
ALTER TABLE challenges ADD COLUMN act_at_ms INTEGER;
CREATE INDEX challenges_to_escalate ON challenges (act_at_ms) WHERE state = 'asked' AND act_at_ms IS NOT NULL;

-- An opt-out belongs to the number, whoever has it.
CREATE TABLE opt_outs (
    phone TEXT PRIMARY KEY,
    since_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO opt_outs
SELECT json_extract(account, '$.phone_number'), json_extract(account, '$.opted_out_at_ms')
FROM (SELECT CASE WHEN json_valid(CAST(body AS TEXT)) THEN CAST(body AS TEXT) ELSE '{}' END AS account FROM accounts)
WHERE json_type(account, '$.opted_out_at_ms') = 'integer' AND json_type(account, '$.phone_number') = 'text';

DROP INDEX messages_by_challenge;
CREATE INDEX messages_by_challenge ON messages (challenge_id, created_at_ms) WHERE challenge_id IS NOT NULL;
