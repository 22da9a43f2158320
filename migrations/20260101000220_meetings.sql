-- What one client leaves for another on whichever node: a provisioning message for minutes, a choice for an hour.
-- Unlogged: it is worth nothing after a crash.

CREATE UNLOGGED TABLE live.meetings (
    place bytea       PRIMARY KEY, -- SHA-256 of what only the two know
    until timestamptz NOT NULL,
    thing bytea                    -- NULL while somebody waits for it
);

CREATE INDEX ON live.meetings (until);
