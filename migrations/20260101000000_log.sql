-- The log: every fact, in one order, for ever. Beside it what may be erased: payloads and the keys of personal values.

CREATE SCHEMA log;

-- Names for people; the events carry the numbers. Filled at start-up from the vocabulary, which must agree with it.
CREATE TABLE log.event_types (
    family      smallint NOT NULL,
    family_name text     NOT NULL,
    type        smallint NOT NULL,
    type_name   text     NOT NULL,
    PRIMARY KEY (family, type)
);

-- Columns stand in an order that needs no padding. recorded_at is in milliseconds since 1970-01-01 UTC.
-- data and metadata hold JSON text: as bytea it is quicker to write and to replay than as jsonb (log.readable shows it).
CREATE TABLE log.events (
    position    bigint   NOT NULL CHECK (position > 0),
    revision    bigint   NOT NULL CHECK (revision >= 0),
    recorded_at bigint   NOT NULL,
    event_id    uuid     NOT NULL,
    family      smallint NOT NULL,
    type        smallint NOT NULL,
    stream      text     NOT NULL COLLATE "C",
    data        bytea    NOT NULL,
    metadata    bytea    NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (position),
    CONSTRAINT events_stream_revision_key UNIQUE (family, stream, revision),
    CONSTRAINT events_event_id_key UNIQUE (event_id)
);

CREATE FUNCTION log.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: % of log.events is refused', TG_OP
        USING HINT = 'Correct a fact by appending another; erase by destroying a payload or a subject key.';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.events
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();

-- The position of the last event. Whoever appends moves it in the same transaction; its row lock, held to the commit,
-- is what makes positions dense and their order the order of commits, over any number of nodes.
CREATE TABLE log.head (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint  NOT NULL CHECK (position >= 0)
);

INSERT INTO log.head (position) VALUES (0);

-- Clients' bytes. Uncompressed out of line (they are ciphertext), so that a slice is read without the rest.
CREATE TABLE log.payloads (
    id    uuid  PRIMARY KEY,
    bytes bytea NOT NULL
);

ALTER TABLE log.payloads ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- What opens the personal values of one subject. Deleting the row erases them.
CREATE TABLE log.subject_keys (
    key_id     uuid        PRIMARY KEY,
    subject    uuid        NOT NULL UNIQUE,
    owner      uuid        NOT NULL, -- the account, or the pseudonym of the number that a session is about
    kind       smallint    NOT NULL CHECK (kind IN (0, 1, 2)), -- account, account that has returned, session
    deleted_before bigint  CHECK ((deleted_before IS NOT NULL) = (kind = 1)), -- when the life before ended
    secret     bytea       NOT NULL CHECK (octet_length(secret) = 32),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX ON log.subject_keys (owner);

-- The log as people read it.
CREATE VIEW log.readable AS
SELECT e.position,
       coalesce(t.family_name, e.family::text) || '-' || e.stream AS stream,
       e.revision,
       coalesce(t.type_name, e.type::text) AS type,
       convert_from(e.data, 'UTF8')::jsonb AS data,
       convert_from(e.metadata, 'UTF8')::jsonb AS metadata,
       to_timestamp(e.recorded_at / 1000.0) AS recorded_at,
       e.event_id
FROM log.events e
LEFT JOIN log.event_types t USING (family, type);
