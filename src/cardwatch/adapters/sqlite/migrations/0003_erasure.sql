-- When an account was last erased: the phones' histories may have gaps from before then. One row at most.
CREATE TABLE last_erasure (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    at_ms INTEGER NOT NULL
) STRICT;
