-- Old history of mailboxes that has moved to an object store. What has moved is part of the log still: readers put it back in
-- its place. A row leaves log.events for no other reason.

-- One object each: the events of some positions after one and up to another.
CREATE TABLE log.segments (
    through     bigint PRIMARY KEY,
    after       bigint NOT NULL UNIQUE CHECK (after >= 0 AND after < through),
    events      bigint NOT NULL CHECK (events > 0),
    bytes       bigint NOT NULL CHECK (bytes > 0), -- of the object
    digest      bytea  NOT NULL CHECK (octet_length(digest) = 32), -- of the object: SHA-256
    place       text   NOT NULL, -- the store's address
    name        text   NOT NULL, -- the object's in it
    moved       bytea  NOT NULL, -- a bit for each position: whether its event has moved
    archived_at bigint NOT NULL, -- in milliseconds since 1970-01-01 UTC
    told        boolean NOT NULL DEFAULT false, -- whether the log says so (HistoryArchived)
    moved_by    xid8   NOT NULL DEFAULT pg_current_xact_id()
);

-- Which segments have events of a stream, and which ones.
CREATE TABLE log.segment_streams (
    family  smallint NOT NULL,
    stream  text     NOT NULL COLLATE "C",
    through bigint   NOT NULL REFERENCES log.segments,
    first_revision bigint NOT NULL,
    last_revision  bigint NOT NULL,
    PRIMARY KEY (family, stream, through)
);

-- For nodes that catch up: which streams' rows have moved away meanwhile.
CREATE INDEX ON log.segment_streams (through);

-- Objects that are being written, or were when somebody died: the next run removes what no segment names.
CREATE TABLE log.uploads (
    place text NOT NULL,
    name  text NOT NULL,
    PRIMARY KEY (place, name)
);

CREATE OR REPLACE FUNCTION log.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND EXISTS (SELECT FROM log.segments WHERE moved_by = pg_current_xact_id_if_assigned()) THEN
        RETURN NULL; -- log.refuse_loss looks at what goes
    END IF;
    RAISE EXCEPTION 'the log is append-only: % of log.events is refused', TG_OP
        USING HINT = 'Correct a fact by appending another; erase by destroying a payload or a subject key.';
END
$$;

-- Whoever has registered a segment may take away its events, and nothing else.
CREATE FUNCTION log.refuse_loss() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lost bigint;
BEGIN
    SELECT min(g.position) INTO lost
    FROM gone g
    WHERE EXISTS (SELECT FROM log.segments WHERE moved_by = pg_current_xact_id_if_assigned())
      AND NOT EXISTS (
          SELECT FROM log.segments s
          WHERE s.moved_by = pg_current_xact_id_if_assigned() AND g.position > s.after AND g.position <= s.through
            AND get_bit(s.moved, g.position - s.after - 1) = 1);
    IF lost IS NOT NULL THEN
        RAISE EXCEPTION 'the log is append-only: the event at position % is in no segment', lost;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER archived_only AFTER DELETE ON log.events REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_loss();

CREATE FUNCTION log.refuse_forgetting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: % of its archive is refused', TG_OP;
END
$$;

CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON log.segments
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_forgetting();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON log.segment_streams
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_forgetting();
