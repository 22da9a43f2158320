-- What the doors of all nodes remember together. Nothing here is a fact: it is not in the log, and it is swept.
-- Rows are filed under keyed digests, so that the tables tell nothing about anybody.

CREATE SCHEMA doors;

CREATE TABLE doors.rate_limit_buckets (
    bucket    bytea  PRIMARY KEY, -- of the limit's name and its key
    remaining bigint NOT NULL,    -- permits, counted at `at`
    at        bigint NOT NULL,    -- milliseconds since 1970-01-01 UTC, as everywhere here
    full_at   bigint NOT NULL     -- when the row can be forgotten
);

CREATE INDEX ON doors.rate_limit_buckets (full_at);

CREATE TABLE doors.outcomes (
    id          bytea  PRIMARY KEY, -- of the caller and their Idempotency-Key
    fingerprint bytea  NOT NULL,    -- of the request
    begun_at    bigint NOT NULL,
    answer      bytea               -- sealed; NULL as long as nobody was answered
);

CREATE INDEX ON doors.outcomes (begun_at);
