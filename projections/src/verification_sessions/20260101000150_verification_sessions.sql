-- How far each proof of a phone number has come.

CREATE TABLE read_models.verification_sessions_v1 (
    session        uuid    PRIMARY KEY,
    pni            uuid    NOT NULL,
    as_of          bigint  NOT NULL, -- the last event in this row: counts must not count it again
    started_at     bigint  NOT NULL,
    last_action_at bigint  NOT NULL,
    first_sms_at   bigint,
    last_sms_at    bigint,
    first_voice_at bigint,
    last_voice_at  bigint,
    last_check_at  bigint,
    sms_count      integer NOT NULL,
    voice_count    integer NOT NULL,
    check_count    integer,          -- wrong codes since a code last went out; NULL if none is outstanding
    sms_closed     boolean NOT NULL, -- this way does not lead to the number
    voice_closed   boolean NOT NULL,
    verified       boolean NOT NULL,
    required       text[]  NOT NULL, -- proofs still asked for
    submitted      text[]  NOT NULL,
    number         text              -- NULL once its key is destroyed
);

CREATE INDEX ON read_models.verification_sessions_v1 (pni);
