-- What keeps abuse in bounds and is true only for minutes. None of it is a fact.

CREATE SCHEMA IF NOT EXISTS abuse;

-- Sent to an account's primary device, which answers it. One at a time.
CREATE UNLOGGED TABLE abuse.pushed_challenges (
    aci        uuid   PRIMARY KEY,
    challenge  bytea  NOT NULL CHECK (octet_length(challenge) = 16),
    expires_at bigint NOT NULL -- milliseconds since 1970-01-01 UTC
);

CREATE INDEX ON abuse.pushed_challenges (expires_at);
